// Network: running it. All threads go through the bands, and in each through the layers, together,
// each taking the next part of the layer that is not taken, so that there is one awakening for a
// batch and not one for a layer.
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
// Rows of a plain convolution that are done at a time, unless that leaves a thread without any.
constexpr std::int64_t kRows = 8;

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
          bands_(workspace.bands),
          out_(out),
          in_(in),
          rows_(rows()),
          convs_(convs()),
          timed_(timed),
          began_(Clock::now()) {
        base_.kind = plan.epilogue.base;
        base_.lr = in;
        base_.scale = plan.epilogue.scale;
        width_ = in.w * plan.epilogue.scale / plan.epilogue.shuffle;
        pitch_ = last_pitch(width_);
        if (base_.kind != Base::kNone) {
            bases_.reserve(static_cast<std::size_t>(workspace.team));
            for (int slot = 0; slot < workspace.team; ++slot) {
                bases_.emplace_back(base_, width_, plan.epilogue.shuffle);
            }
        }
        steps_ = static_cast<std::size_t>(plan.steps());
        const std::int64_t groups = (in.n + bands_.images - 1) / bands_.images;
        count_ = static_cast<std::size_t>(groups) * bands_.ends.size() * steps_;
        progress_ = std::make_unique<Progress[]>(count_);
    }

    void work(int slot) {
        Progress* progress = progress_.get();
        for (std::int64_t image = 0; image < in_.n; image += bands_.images) {
            for (std::size_t band = 0; band < bands_.ends.size(); ++band) {
                for (std::size_t n = 0; n < steps_; ++n) {
                    work_on(step(n, band, image), *progress++, slot);
                }
            }
        }
    }

    // Seconds of each step: from the end of the one before, as the first thread to see it saw it.
    void report(double* seconds) const {
        Clock::rep before = began_.time_since_epoch().count();
        for (std::size_t at = 0; at < count_; ++at) {
            const Clock::rep end = progress_[at].ended.load(std::memory_order_relaxed);
            seconds[at % steps_] +=
                std::chrono::duration<double>(Clock::duration(end - before)).count();
            before = end;
        }
    }

 private:
    // What threads tell each other about a step. On a cache line of its own.
    struct alignas(64) Progress {
        std::atomic<std::int64_t> next{0}, done{0};
        std::atomic<Clock::rep> ended{0};
    };

    // Reading the frame (number 0), a convolution, or writing the frame, for one band.
    struct Step {
        std::size_t number = 0, band = 0;
        std::int64_t image = 0, images = 0;
        std::int64_t first = 0, h = 0;  // rows: of the frame, a layer's source, or the last value
        std::int64_t units = 0, rows = 0;  // rows in a unit
        std::int64_t all_tiles = 0;
        int tiles = 0;  // of Winograd's, in a unit
        ConvTask task;
    };

    Step step(std::size_t number, std::size_t band, std::int64_t image) {
        Step step;
        step.number = number;
        step.band = band;
        step.image = image;
        step.images = std::min(bands_.images, in_.n - image);
        const bool is_layer = 0 < number && number <= plan_.layers.size();
        const std::size_t value = std::min(number, plan_.layers.size());
        const int shuffle = is_layer ? plan_.layers[number - 1].shuffle : 1;
        step.first = band > 0 ? bands_.ends[band - 1][value] / shuffle : 0;
        step.h = bands_.ends[band][value] / shuffle - step.first;
        const std::int64_t team = workspace_.team;
        if (is_layer) step.task = task(step);
        if (is_layer && plan_.layers[number - 1].winograd) {
            step.all_tiles =
                winograd_tiles(step.images, step.h, step.task.w, plan_.layers[number - 1].size);
            const std::int64_t units = (step.all_tiles + kMostTiles - 1) / kMostTiles;
            step.units = (units + team - 1) / team * team;  // a share of the same size for each
            if (units > 0)
                step.tiles = static_cast<int>((step.all_tiles + step.units - 1) / step.units);
        } else {
            const std::int64_t count = step.images * step.h;
            step.rows = std::clamp<std::int64_t>(count / (2 * team), 1, kRows);
            step.units = (count + step.rows - 1) / step.rows;
        }
        return step;
    }

    ConvTask task(const Step& step) {
        const std::size_t n = step.number - 1;
        const Layer& layer = plan_.layers[n];
        ConvTask task;
        task.src = strip<const float>(static_cast<std::size_t>(layer.source), step.first);
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
        task.first = step.first;
        task.h = step.h;
        task.w = in_.w * layer.scale;
        if (plan_.values[n + 1].buffer < 0) return task;
        task.dst = strip<float>(n + 1, step.first * layer.shuffle);
        if (layer.add < 0) return task;
        task.add =
            strip<const float>(static_cast<std::size_t>(layer.add), step.first * layer.shuffle);
        return task;
    }

    // The rows of a value that are kept, for access around row y.
    template <typename T>
    Strip<T> strip(std::size_t value, std::int64_t y) {
        const Buffer& kind = plan_.kind(value);
        const std::size_t place =
            bands_.whole ? static_cast<std::size_t>(plan_.values[value].buffer) : value;
        Strip<T> strip;
        strip.data = workspace_.memory[place].data() + kind.before * kind.channels;
        strip.row = kind.row(in_.w);
        strip.rows = bands_.rows[value];
        strip.image = strip.rows * strip.row;
        strip.base = y / strip.rows * strip.rows;
        return strip;
    }

    void work_on(const Step& step, Progress& progress, int slot) {
        for (;;) {
            const std::int64_t unit = progress.next.fetch_add(1, std::memory_order_relaxed);
            if (unit >= step.units) break;
            if (unit == 0 && !bands_.whole) restore_border(step);
            perform(step, unit, slot);
            progress.done.fetch_add(1, std::memory_order_release);
        }
        // What is not done has been taken by a thread that is at work on it.
        for (int i = 0; progress.done.load(std::memory_order_acquire) < step.units; ++i) {
            if (i < kSpins)
                relax();
            else
                std::this_thread::yield();
        }
        if (!timed_) return;
        Clock::rep never = 0;
        progress.ended.compare_exchange_strong(never, Clock::now().time_since_epoch().count());
    }

    // Zeros above and below an image, where other rows have been.
    void restore_border(const Step& step) {
        const std::size_t value = step.number;
        if (value >= plan_.values.size() || plan_.values[value].buffer < 0) return;
        const Buffer& kind = plan_.kind(value);
        const std::int64_t height = in_.h * kind.scale;
        if (step.first == 0) clear(value, -kind.before, 0);
        if (bands_.ends[step.band][value] == height) {
            clear(value, height, height + bands_.below[value]);
        }
    }

    void clear(std::size_t value, std::int64_t begin, std::int64_t end) {
        const std::int64_t border = plan_.kind(value).before * plan_.kind(value).channels;
        const Strip<float> rows = strip<float>(value, std::max<std::int64_t>(begin, 0));
        for (std::int64_t y = begin; y < end; ++y) {
            std::fill_n(rows.data + rows.at(0, y) - border, rows.row, 0.0f);
        }
    }

    void perform(const Step& step, std::int64_t unit, int slot) {
        const std::size_t n = step.number;
        const bool is_layer = 0 < n && n <= plan_.layers.size();
        float* const scratch = workspace_.scratch[static_cast<std::size_t>(slot)].data();
        if (is_layer && plan_.layers[n - 1].winograd) {
            const std::int64_t begin = std::min(unit * step.tiles, step.all_tiles);
            const std::int64_t end = std::min(begin + step.tiles, step.all_tiles);
            return convs_.winograd(step.task, begin, end, step.tiles, scratch);
        }
        const bool to_frame = is_layer && plan_.values[n].buffer < 0;
        ConvTask task = step.task;
        if (to_frame) task.dst.data = scratch;  // one row, as if all rows were the same
        const std::int64_t end = std::min((unit + 1) * step.rows, step.images * step.h);
        for (std::int64_t row = unit * step.rows; row < end; ++row) {
            const std::int64_t image = row / step.h, y = step.first + row % step.h;
            if (n == 0) {
                read(step.image + image, image, y, slot);
            } else if (is_layer) {
                convs_.direct(task, image, y);
                if (to_frame) write(scratch, step.image + image, y, slot);
            } else {
                const Strip<const float> last = strip<const float>(n - 1, step.first);
                write(last.data + last.at(image, y), step.image + image, y, slot);
            }
        }
    }

    // A row of pixels -> the first value.
    void read(std::int64_t n, std::int64_t image, std::int64_t y, int slot) {
        const Strip<float> to = strip<float>(0, y);
        const std::uint8_t* const pixels =
            contiguous_row(in_, in_.data + n * in_.stride_n + y * in_.stride_h, in_.w,
                           workspace_.pixels[static_cast<std::size_t>(slot)].data());
        convs_.widen(to.data + to.at(image, y), pixels, 3 * in_.w);
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
    const Bands& bands_;
    const Frames& out_;
    const ConstFrames& in_;
    const Rows& rows_;
    const ConvKernels& convs_;
    BaseImage base_;
    std::vector<BaseRows> bases_;
    std::int64_t width_, pitch_;  // of the last value, and of its planes
    std::size_t steps_, count_;   // of a band, and in all
    const bool timed_;
    const Clock::time_point began_;
    std::unique_ptr<Progress[]> progress_;
};

Network::Network(const std::vector<Convolution>& layers, const Epilogue& epilogue,
                 std::int64_t activation_bytes)
    : plan_(std::make_unique<const Plan>(layers, epilogue)), activation_bytes_(activation_bytes) {}

Network::~Network() = default;

int Network::scale() const { return plan_->epilogue.scale; }

int Network::steps() const { return plan_->steps(); }

int Network::team(std::int64_t n, std::int64_t h, std::int64_t w, int threads) const {
    const double work = plan_->work * static_cast<double>(n * h * w);
    const auto bytes = static_cast<std::int64_t>(std::min(work / kWorkPerByte, 1e15));
    return team_size(n * h * w, bytes, threads);
}

std::int64_t Network::workspace_bytes(std::int64_t n, std::int64_t h, std::int64_t w,
                                      int threads) const {
    if (n == 0 || h == 0 || w == 0) return 0;
    const Bands bands(*plan_, n, h, w, activation_bytes_);
    const std::int64_t floats =
        bands.size(*plan_, w) + team(n, h, w, threads) * scratch_size(*plan_, w);
    return floats * std::int64_t{sizeof(float)} + team(n, h, w, threads) * 3 * w;
}

void Network::run(const Frames& out, const ConstFrames& in, int threads, double* seconds) const {
    if (seconds) std::fill_n(seconds, plan_->steps(), 0.0);
    if (in.n == 0 || in.h == 0 || in.w == 0) return;
    const int count = team(in.n, in.h, in.w, threads);
    std::unique_ptr<Workspace> workspace = take(in, count);
    {
        Run run(*plan_, *workspace, out, in, seconds != nullptr);
        for_rows(count, count, [&](int slot, std::int64_t, std::int64_t) { run.work(slot); });
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
    Bands bands(*plan_, in.n, in.h, in.w, activation_bytes_);
    return std::make_unique<Workspace>(*plan_, in, team, std::move(bands));
}

void Network::give_back(std::unique_ptr<Workspace> workspace) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(workspace));
    if (idle_.size() > kKeptWorkspaces) idle_.erase(idle_.begin());
}

}  // namespace srsdk::cpu
