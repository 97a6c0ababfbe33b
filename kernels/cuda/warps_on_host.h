// Kernel bodies of warp.h run by the host, for tests: threads are fibers, and a collective
// operation happens when all 32 lanes of a warp have come to it.
//
// The layouts of the fragments are those of the PTX manual ("Matrix Fragments for mma.m16n8k16",
// "ldmatrix"), written down here once more and independently of the kernel that uses them.
#pragma once

#include <ucontext.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "warp.h"

namespace srsdk::cuda {

class HostBlock {
 public:
    // Runs body(thread) for all threads of one block. Shared memory holds NaN at first.
    // `backward` runs lanes and warps from the last to the first: where the order matters, there
    // is a race.
    template <typename Body>
    static void run(const Body& body, int block, int threads, int shared_bytes, bool backward) {
        const auto size = static_cast<std::size_t>(shared_bytes);
        auto* const shared =
            static_cast<unsigned char*>(::operator new(size, std::align_val_t{128}));
        std::memset(shared, 0xff, size);  // NaN, in all types
        HostBlock host(threads, backward);
        host.shared_ = shared;
        host.shared_bytes_ = shared_bytes;
        const auto call = [](const void* context, const Thread& thread) {
            (*static_cast<const Body*>(context))(thread);
        };
        host.run_all(call, &body, block);
        ::operator delete(shared, std::align_val_t{128});
    }

    enum class At { kRunning, kBarrier, kLoad, kMultiply, kDone };

    struct Fiber {
        ucontext_t context;
        std::unique_ptr<char[]> stack;
        Thread thread;
        At at = At::kRunning;
        // Operands of a collective operation.
        std::uint32_t* to = nullptr;
        const unsigned char* row = nullptr;
        float* sum = nullptr;
        std::uint32_t a[4] = {}, b[2] = {};
        int size = 0;  // matrices, or depth
    };

    Fiber& current() { return *current_; }
    void wait(At at) {
        Fiber& fiber = *current_;
        fiber.at = at;
        swapcontext(&fiber.context, &scheduler_);
    }

 private:
    using Call = void (*)(const void*, const Thread&);
    static constexpr std::size_t kStack = 64 << 10;

    HostBlock(int threads, bool backward)
        : backward_(backward), fibers_(static_cast<std::size_t>(threads)) {}

    static HostBlock*& starting() {
        static HostBlock* block = nullptr;
        return block;
    }

    static void enter() {
        HostBlock* const block = starting();
        block->call_(block->body_, block->current_->thread);
        block->current_->at = At::kDone;
        setcontext(&block->scheduler_);
    }

    void run_all(Call call, const void* body, int block) {
        call_ = call;
        body_ = body;
        const int threads = static_cast<int>(fibers_.size());
        for (int k = 0; k < threads; ++k) {
            Fiber& fiber = fibers_[static_cast<std::size_t>(k)];
            fiber.thread = {block, k % 32, k / 32, threads / 32, shared_, this};
            fiber.stack = std::make_unique<char[]>(kStack);
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack.get();
            fiber.context.uc_stack.ss_size = kStack;
            fiber.context.uc_link = nullptr;
            makecontext(&fiber.context, &HostBlock::enter, 0);
        }
        for (bool done = false; !done;) {
            for (int k = 0; k < threads / 32; ++k) run_warp(backward_ ? threads / 32 - 1 - k : k);
            done = same_everywhere() == At::kDone;
        }
    }

    // A warp up to its next barrier or its end.
    void run_warp(int warp) {
        Fiber* const lanes = &fibers_[static_cast<std::size_t>(32 * warp)];
        for (;;) {
            for (int k = 0; k < 32; ++k) {
                current_ = &lanes[backward_ ? 31 - k : k];
                starting() = this;
                swapcontext(&scheduler_, &current_->context);
            }
            for (int k = 1; k < 32; ++k) {
                if (lanes[k].at != lanes[0].at || lanes[k].size != lanes[0].size)
                    throw std::logic_error("the lanes of a warp have parted");
            }
            if (lanes[0].at == At::kLoad) {
                load(lanes);
            } else if (lanes[0].at == At::kMultiply) {
                multiply(lanes);
            } else {
                return;
            }
        }
    }

    At same_everywhere() const {
        for (const Fiber& fiber : fibers_) {
            if (fiber.at != fibers_[0].at) throw std::logic_error("not all reach a barrier");
        }
        return fibers_[0].at;
    }

    void load(Fiber* lanes) const {
        for (int matrix = 0; matrix < lanes[0].size; ++matrix) {
            for (int row = 0; row < 8; ++row) {
                const unsigned char* const from = lanes[8 * matrix + row].row;
                if (reinterpret_cast<std::uintptr_t>(from) % 16 || from < shared_ ||
                    from + 16 > shared_ + shared_bytes_)
                    throw std::logic_error("ldmatrix: a row outside of shared memory");
                for (int four = 0; four < 4; ++four)
                    std::memcpy(&lanes[4 * row + four].to[matrix], from + 4 * four, 4);
            }
        }
    }

    static float half(std::uint32_t pair, int which) {
        return cpu::half_to_float(static_cast<Half>(pair >> (16 * which)));
    }

    static void multiply(Fiber* lanes) {
        const int depth = lanes[0].size;
        float a[16][16], b[16][8];
        for (int lane = 0; lane < 32; ++lane) {
            const int group = lane / 4, in_group = lane % 4;
            for (int i = 0; i < 4 * depth / 8; ++i) {  // a_i of the manual, i in [0, 8)
                const int row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
                const int column = in_group * 2 + (i & 1) + (i < 4 ? 0 : 8);
                a[row][column] = half(lanes[lane].a[i / 2], i & 1);
            }
            for (int i = 0; i < 2 * depth / 8; ++i) {  // b_i, i in [0, 4)
                const int row = in_group * 2 + (i & 1) + (i < 2 ? 0 : 8);
                b[row][group] = half(lanes[lane].b[i / 2], i & 1);
            }
        }
        for (int lane = 0; lane < 32; ++lane) {
            for (int i = 0; i < 4; ++i) {  // c_i
                const int row = i < 2 ? lane / 4 : lane / 4 + 8, column = lane % 4 * 2 + (i & 1);
                float sum = lanes[lane].sum[i];
                for (int k = 0; k < depth; ++k) sum += a[row][k] * b[k][column];
                lanes[lane].sum[i] = sum;
            }
        }
    }

    bool backward_;
    std::vector<Fiber> fibers_;
    Fiber* current_ = nullptr;
    ucontext_t scheduler_;
    Call call_ = nullptr;
    const void* body_ = nullptr;
    unsigned char* shared_ = nullptr;
    int shared_bytes_ = 0;
};

namespace host {

inline void sync(const Thread& thread) { thread.host->wait(HostBlock::At::kBarrier); }

inline void load_matrices(std::uint32_t* to, int count, const unsigned char* row,
                          const Thread& thread) {
    HostBlock::Fiber& fiber = thread.host->current();
    fiber.to = to;
    fiber.row = row;
    fiber.size = count;
    thread.host->wait(HostBlock::At::kLoad);
}

inline void multiply(float* sum, const std::uint32_t* a, const std::uint32_t* b, int k,
                     const Thread& thread) {
    HostBlock::Fiber& fiber = thread.host->current();
    fiber.sum = sum;
    fiber.size = k;
    std::memcpy(fiber.a, a, static_cast<std::size_t>(k / 4) * 4);
    std::memcpy(fiber.b, b, static_cast<std::size_t>(k / 8) * 4);
    thread.host->wait(HostBlock::At::kMultiply);
}

}  // namespace host
}  // namespace srsdk::cuda
