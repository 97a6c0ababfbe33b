// The pool: helpers that have no job sleep on a condition variable, since other libraries' threads
// want the same cores. (Threads at work on one network may spin for some microseconds while they
// wait for each other: see network.cpp.) The pool is made on first use and never destroyed, so that
// no order of shutdown can touch a dead pool.
#include "threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace srsdk::cpu {
namespace {

constexpr int kMaxThreads = 64;
// Waking a sleeping thread takes some 20 to 50 microseconds, in which a core moves this much.
constexpr std::int64_t kBytesPerThread = 256 << 10;
constexpr int kChunksPerThread = 4;

int usable_cpus() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

struct Job {
    RowTask task;
    const void* context;
    std::int64_t rows, chunk;
    int team;
    int joined = 1;  // threads that have taken a slot, the caller's included; under the pool's lock
    int active = 0;  // helpers still at work; under the pool's lock
    std::atomic<std::int64_t> next{0};
    std::condition_variable done;

    void work(int slot) {
        for (;;) {
            const std::int64_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
            if (begin >= rows) return;
            task(context, slot, begin, std::min(begin + chunk, rows));
        }
    }
};

class Pool {
 public:
    void run(Job& job) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            add_helpers(job.team - 1);
            keep_off_this_cpu();
            jobs_.push_back(&job);
        }
        for (int i = 1; i < job.team; ++i) wake_.notify_one();
        job.work(0);
        std::unique_lock<std::mutex> lock(mutex_);
        const auto queued = std::find(jobs_.begin(), jobs_.end(), &job);
        if (queued != jobs_.end()) jobs_.erase(queued);
        job.done.wait(lock, [&] { return job.active == 0; });
    }

 private:
    void add_helpers(int wanted) {
        try {
            while (static_cast<int>(helpers_.size()) < wanted) {
                std::thread helper([this] { help(); });
                const auto handle = helper.native_handle();
                helper.detach();
                helpers_.push_back(handle);
                excluded_ = -1;
            }
        } catch (const std::system_error&) {
            // The system gives no more threads: those that exist, or the caller alone, do the job.
        }
    }

    // A helper that sleeps may be woken on the very core that its caller keeps busy, and then waits
    // there for the whole job while another core idles: after a pause of 25 ms, as between the
    // frames of a camera, nearly always on a virtual machine of two cores. So the helpers' set is
    // the caller's without the core that it runs on; the system is asked only when that changes.
    void keep_off_this_cpu() {
#if defined(__linux__)
        const int cpu = sched_getcpu();
        if (cpu < 0 || cpu == excluded_) return;
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof(set), &set) != 0) return;
        if (cpu >= CPU_SETSIZE || CPU_COUNT(&set) < 2) return;  // a caller that is tied to a core
        CPU_CLR(cpu, &set);
        excluded_ = cpu;
        for (const auto helper : helpers_) pthread_setaffinity_np(helper, sizeof(set), &set);
#endif
    }

    void help() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return !jobs_.empty(); });
            Job* job = jobs_.front();
            const int slot = job->joined++;
            if (job->joined == job->team) jobs_.pop_front();
            ++job->active;
            lock.unlock();
            job->work(slot);
            lock.lock();
            // Under the lock: the job lives on its caller's stack and is gone once this returns.
            if (--job->active == 0) job->done.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job*> jobs_;
    std::vector<std::thread::native_handle_type> helpers_;
    int excluded_ = -1;  // the core that the helpers' set lacks; -1: none
};

std::atomic<Pool*> g_pool{nullptr};
std::mutex g_pool_mutex;

#if defined(__unix__) || defined(__APPLE__)
// Threads do not survive a fork: the child makes a pool of its own when it first needs one. The
// mutex is held over the fork, so that the child never inherits it locked by a thread it lacks.
void before_fork() { g_pool_mutex.lock(); }
void after_fork_parent() { g_pool_mutex.unlock(); }
void after_fork_child() {
    g_pool.store(nullptr);
    g_pool_mutex.unlock();
}
#endif

Pool& pool() {
    Pool* existing = g_pool.load(std::memory_order_acquire);
    if (existing) return *existing;
    const std::lock_guard<std::mutex> lock(g_pool_mutex);
    existing = g_pool.load(std::memory_order_relaxed);
    if (existing) return *existing;
#if defined(__unix__) || defined(__APPLE__)
    static const int registered = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    static_cast<void>(registered);
#endif
    existing = new Pool;
    g_pool.store(existing, std::memory_order_release);
    return *existing;
}

}  // namespace

int team_size(std::int64_t rows, std::int64_t bytes, int requested) {
    const std::int64_t max_threads = requested > 0 ? requested : usable_cpus();
    const std::int64_t useful = std::min(rows, bytes / kBytesPerThread);
    return static_cast<int>(
        std::clamp<std::int64_t>(std::min(max_threads, useful), 1, std::int64_t{kMaxThreads}));
}

void run_rows(RowTask task, const void* context, std::int64_t rows, int team) {
    if (rows <= 0) return;
    if (team <= 1) {
        task(context, 0, 0, rows);
        return;
    }
    Job job;
    job.task = task;
    job.context = context;
    job.rows = rows;
    job.chunk = std::max<std::int64_t>(1, rows / (std::int64_t{team} * kChunksPerThread));
    job.team = team;
    pool().run(job);
}

}  // namespace srsdk::cpu
