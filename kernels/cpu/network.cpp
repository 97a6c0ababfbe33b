// Network: running it. All threads go through the layers together, each taking the next part of
// the layer that is not taken, so that there is one awakening for a frame and not one for a layer.
#include "network.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base_image.h"
#include "rows.h"
#include "scratch.h"
#include "srsdk/network.h"
#include "threads.h"

namespace srsdk::cpu {
namespace {

constexpr std::size_t kKeptWorkspaces = 4;
// Waking a thread takes the time of some two million multiply-adds.
constexpr double kWorkPerByte = 8;
constexpr int kSpins = 2000;  // a few tens of microseconds, before others may have the core
constexpr int kRows = 8;      // of a plain convolution, done at a time

// Tiles done at a time: their patches, products and a block's weights share the second-level cache.
constexpr std::int64_t kMostTiles = 24;

using Clock = std::chrono::steady_clock;

void relax() {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_ia32_pause();
#endif
}

}  // namespace

// One frame, or batch of them, on its way through.
class Network::Run {
 public:
    Run(const Plan& plan, Workspace& workspace, const Frames& out, const ConstFrames& in,
        bool timed)
        : plan_(plan),
          workspace_(workspace),
          out_(out),
          in_(in),
          rows_(rows()),
          convs_(convs()),
          timed_(timed),
          began_(Clock::now()) {
        base_.kind = plan.epilogue.base;
        base_.lr = in;
        base_.scale = plan.epilogue.scale;
        const Layer& last = plan.layers.back();
        width_ = in.w * plan.epilogue.scale / plan.epilogue.shuffle;
        height_ = in.h * plan.epilogue.scale / plan.epilogue.shuffle;
        pitch_ = (width_ + 15) / 16 * 16 + 16;
        if (base_.kind != Base::kNone) {
            bases_.reserve(static_cast<std::size_t>(workspace.team));
            for (int slot = 0; slot < workspace.team; ++slot) {
                bases_.emplace_back(base_, width_, plan.epilogue.shuffle);
            }
        }
        count_ = static_cast<std::size_t>(plan.steps());
        steps_ = std::make_unique<Step[]>(count_);
        steps_[0].units = row_units(in.n * in.h);
        for (std::size_t n = 0; n < plan.layers.size(); ++n) describe(n);
        if (last.target >= 0) steps_[count_ - 1].units = row_units(in.n * height_);
        for (Floats& scratch : workspace.scratch) {
            if (scratch.size() < scratch_) scratch = Floats(scratch_);
        }
    }

    void work(int slot) {
        for (std::size_t n = 0; n < count_; ++n) {
            Step& step = steps_[n];
            for (;;) {
                const std::int64_t unit = step.next.fetch_add(1, std::memory_order_relaxed);
                if (unit >= step.units) break;
                perform(n, unit, slot);
                step.done.fetch_add(1, std::memory_order_release);
            }
            // What is not done has been taken by a thread that is at work on it.
            for (int i = 0; step.done.load(std::memory_order_acquire) < step.units; ++i) {
                if (i < kSpins)
                    relax();
                else
                    std::this_thread::yield();
            }
            if (timed_) stamp(step);
        }
    }

    // Seconds of each step: from the end of the one before, as the first thread to see it saw it.
    void report(double* seconds) const {
        Clock::rep before = began_.time_since_epoch().count();
        for (std::size_t n = 0; n < count_; ++n) {
            const Clock::rep end = steps_[n].ended.load(std::memory_order_relaxed);
            seconds[n] = std::chrono::duration<double>(Clock::duration(end - before)).count();
            before = end;
        }
    }

 private:
    struct Step {
        std::int64_t units = 0;
        int tiles = 0;  // of Winograd's, in a unit
        std::int64_t all_tiles = 0;
        ConvTask task;
        std::atomic<std::int64_t> next{0}, done{0};
        std::atomic<Clock::rep> ended{0};
    };

    static void stamp(Step& step) {
        Clock::rep never = 0;
        step.ended.compare_exchange_strong(never, Clock::now().time_since_epoch().count());
    }

    static std::int64_t row_units(std::int64_t count) { return (count + kRows - 1) / kRows; }

    const Buffer& buffer(int number) const {
        return plan_.buffers[static_cast<std::size_t>(number)];
    }
    float* memory(int number) {
        return workspace_.buffers[static_cast<std::size_t>(number)].data() +
               buffer(number).first(in_.w);
    }

    void describe(std::size_t n) {
        const Layer& layer = plan_.layers[n];
        Step& step = steps_[n + 1];
        ConvTask& task = step.task;
        const Buffer& source = buffer(layer.source);
        task.src = memory(layer.source);
        task.src_row = source.row(in_.w);
        task.src_image = source.image(in_.h, in_.w);
        task.channels = layer.channels;
        task.size = layer.size;
        task.weight = layer.weight.data();
        task.bias = layer.bias.data();
        task.slope = layer.slope.data();
        task.activation = layer.activation;
        task.blocks = layer.blocks;
        task.vectors = layer.vectors;
        task.dst_channels = layer.dst_channels;
        task.shuffle = layer.shuffle;
        task.h = in_.h * layer.scale;
        task.w = in_.w * layer.scale;
        if (layer.target >= 0) {
            const Buffer& target = buffer(layer.target);
            task.dst = memory(layer.target);
            task.dst_row = target.row(in_.w);
            task.dst_image = target.image(in_.h, in_.w);
            if (layer.add >= 0) task.add = memory(layer.add);
        }
        if (layer.winograd) {
            const std::int64_t team = workspace_.team;
            step.all_tiles = winograd_tiles(in_.n, task.h, task.w, layer.size);
            const std::int64_t units = (step.all_tiles + kMostTiles - 1) / kMostTiles;
            step.units = (units + team - 1) / team * team;  // a share of the same size for each
            step.tiles = static_cast<int>((step.all_tiles + step.units - 1) / step.units);
            scratch_ = std::max(scratch_, winograd_scratch(task, step.tiles));
        } else {
            step.units = row_units(in_.n * task.h);
        }
        if (n + 1 == plan_.layers.size()) {
            const std::int64_t row = width_ * layer.dst_channels + 16;
            scratch_ = std::max(scratch_, row + layer.dst_channels * pitch_);
        }
    }

    void perform(std::size_t n, std::int64_t unit, int slot) {
        if (n == 0) return read(unit, slot);
        if (n > plan_.layers.size()) return write_buffer(unit, slot);
        const Step& step = steps_[n];
        float* const scratch = workspace_.scratch[static_cast<std::size_t>(slot)].data();
        if (plan_.layers[n - 1].winograd) {
            const std::int64_t begin = std::min(unit * step.tiles, step.all_tiles);
            const std::int64_t end = std::min(begin + step.tiles, step.all_tiles);
            return convs_.winograd(step.task, begin, end, step.tiles, scratch);
        }
        const std::int64_t h = step.task.h, end = std::min((unit + 1) * kRows, in_.n * h);
        if (plan_.layers[n - 1].target >= 0) {
            for (std::int64_t y = unit * kRows; y < end; ++y)
                convs_.direct(step.task, y / h, y % h);
            return;
        }
        ConvTask task = step.task;  // one row, as if all rows were the same
        task.dst = scratch;
        for (std::int64_t y = unit * kRows; y < end; ++y) {
            convs_.direct(task, y / h, y % h);
            write(scratch, y / h, y % h, slot);
        }
    }

    // Rows of pixels -> the first buffer.
    void read(std::int64_t unit, int slot) {
        const Buffer& to = buffer(0);
        float* const dst = memory(0);
        std::uint8_t* const scratch = workspace_.pixels[static_cast<std::size_t>(slot)].data();
        const std::int64_t end = std::min((unit + 1) * kRows, in_.n * in_.h);
        for (std::int64_t row = unit * kRows; row < end; ++row) {
            const std::int64_t n = row / in_.h, y = row % in_.h;
            const std::uint8_t* const pixels =
                contiguous_row(in_, in_.data + n * in_.stride_n + y * in_.stride_h, in_.w, scratch);
            convs_.widen(dst + n * to.image(in_.h, in_.w) + y * to.row(in_.w), pixels, 3 * in_.w);
        }
    }

    // Rows of the last buffer -> frames.
    void write_buffer(std::int64_t unit, int slot) {
        const Layer& last = plan_.layers.back();
        const Buffer& from = buffer(last.target);
        const float* const values = memory(last.target);
        const std::int64_t end = std::min((unit + 1) * kRows, in_.n * height_);
        for (std::int64_t row = unit * kRows; row < end; ++row) {
            const std::int64_t n = row / height_, y = row % height_;
            write(values + n * from.image(in_.h, in_.w) + y * from.row(in_.w), n, y, slot);
        }
    }

    // One row of the last convolution's result, channels last -> rows of pixels.
    void write(const float* values, std::int64_t n, std::int64_t y, int slot) {
        const Layer& last = plan_.layers.back();
        const int r = plan_.epilogue.shuffle;
        const bool swap_rb = plan_.epilogue.swap_rb;
        float* const planes = workspace_.scratch[static_cast<std::size_t>(slot)].data() +
                              (width_ * last.dst_channels + 15) / 16 * 16;
        convs_.planes(planes, pitch_, values, width_, last.dst_channels);
        const auto pack_row = rows_.pack_f32[factor_index(r)];
        const std::int64_t plane = pitch_ * std::int64_t{sizeof(float)};
        for (int i = 0; i < r; ++i) {
            PackRow row{};
            row.dst = out_.data + n * out_.stride_n + (y * r + i) * out_.stride_h;
            row.x = planes + (i * r + (swap_rb ? 2 * r * r : 0)) * pitch_;
            row.stride_c = (swap_rb ? -r * r : r * r) * plane;
            row.stride_j = plane;
            row.w = width_;
            if (!bases_.empty()) {
                bases_[static_cast<std::size_t>(slot)].describe(n, y * r + i, row);
            }
            pack_row(row);
        }
    }

    const Plan& plan_;
    Workspace& workspace_;
    const Frames& out_;
    const ConstFrames& in_;
    const Rows& rows_;
    const ConvKernels& convs_;
    BaseImage base_;
    std::vector<BaseRows> bases_;
    std::int64_t width_, height_, pitch_;  // of the last value, and of its planes
    std::int64_t scratch_ = 0;             // floats that a thread needs
    std::size_t count_ = 0;
    const bool timed_;
    const Clock::time_point began_;
    std::unique_ptr<Step[]> steps_;
};

Network::Network(const std::vector<Convolution>& layers, const Epilogue& epilogue)
    : plan_(std::make_unique<const Plan>(layers, epilogue)) {}

Network::~Network() = default;

int Network::scale() const { return plan_->epilogue.scale; }

int Network::steps() const { return plan_->steps(); }

void Network::run(const Frames& out, const ConstFrames& in, int threads, double* seconds) const {
    if (seconds) std::fill_n(seconds, plan_->steps(), 0.0);
    if (in.n == 0 || in.h == 0 || in.w == 0) return;
    const double work = plan_->work * static_cast<double>(in.n * in.h * in.w);
    const auto bytes = static_cast<std::int64_t>(std::min(work / kWorkPerByte, 1e15));
    const int team = team_size(in.n * in.h * in.w, bytes, threads);
    std::unique_ptr<Workspace> workspace = take(in, team);
    {
        Run run(*plan_, *workspace, out, in, seconds != nullptr);
        for_rows(team, team, [&](int slot, std::int64_t, std::int64_t) { run.work(slot); });
        if (seconds) run.report(seconds);
    }
    give_back(std::move(workspace));
}

std::unique_ptr<Network::Workspace> Network::take(const ConstFrames& in, int team) const {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto it = idle_.rbegin(); it != idle_.rend(); ++it) {
            const Workspace& idle = **it;
            if (idle.n != in.n || idle.h != in.h || idle.w != in.w || idle.team != team) continue;
            std::unique_ptr<Workspace> found = std::move(*it);
            idle_.erase(std::next(it).base());
            return found;
        }
    }
    auto made = std::make_unique<Workspace>();
    made->n = in.n;
    made->h = in.h;
    made->w = in.w;
    made->team = team;
    for (const Buffer& buffer : plan_->buffers) {
        made->buffers.emplace_back(in.n * buffer.image(in.h, in.w) + kPatch * buffer.row(in.w));
    }
    made->scratch.resize(static_cast<std::size_t>(team));
    made->pixels.assign(static_cast<std::size_t>(team),
                        std::vector<std::uint8_t>(static_cast<std::size_t>(3 * in.w)));
    return made;
}

void Network::give_back(std::unique_ptr<Workspace> workspace) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(workspace));
    if (idle_.size() > kKeptWorkspaces) idle_.erase(idle_.begin());
}

}  // namespace srsdk::cpu
