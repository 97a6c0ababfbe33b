// Int8Network: running it. A thread goes down its band of rows once; for each row of the last value
// every layer does the one row that it is ahead of it. What a layer keeps are the rows that the
// next one's kernel covers, so that a whole network's activations stay in the second-level cache,
// and threads wait for each other only at the end. The last layer's results are the frame's bytes,
// which are only put in order. The price is that a band computes the rows of its margin again that
// are the neighbouring band's.
#include "int8_network.h"

#include <algorithm>
#include <chrono>
#include <deque>

#include "instruction_set.h"
#include "scratch.h"
#include "threads.h"

namespace srsdk::cpu {
namespace {

constexpr std::size_t kKeptWorkspaces = 16;
// Waking a thread takes the time of some sixteen million multiply-adds.
constexpr double kWorkPerByte = 64;

using Clock = std::chrono::steady_clock;

// Memory from a cache line on.
template <typename T>
class Aligned {
 public:
    Aligned() = default;
    explicit Aligned(std::int64_t count) : memory_(static_cast<std::size_t>(count) + 64) {}
    T* data() {
        const auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
        return memory_.data() + (64 - at % 64) % 64 / sizeof(T);
    }

 private:
    std::vector<T> memory_;
};

// The rows of a value that are kept: row y in place y % rows.
struct Ring {
    Aligned<std::uint32_t> quads;  // behind the rows one that is all zeros, for outside the image
    Aligned<float> floats;
    std::int64_t pitch = 0;  // quads from plane to plane
    std::int64_t row = 0;    // and from row to row

    const std::uint32_t* outside(const Int8Value& value) {
        return quads.data() + value.rows * row + kSide;
    }
    std::uint32_t* quad_row(const Int8Value& value, std::int64_t y) {
        return quads.data() + y % value.rows * row + kSide;
    }
    float* float_row(const Int8Value& value, std::int64_t y) {
        return floats.data() + y % value.float_rows * row * kQuad;
    }
};

// How many bands an image is cut into, so that `team` threads are done soonest.
std::int64_t bands_of(std::int64_t n, std::int64_t h, std::int64_t margin, std::int64_t team) {
    std::int64_t best = 1, min_time = 0;
    for (std::int64_t bands = 1; bands <= std::min(team, h); ++bands) {
        const std::int64_t rows = (h + bands - 1) / bands + (bands > 1 ? margin : 0);
        const std::int64_t time = (n * bands + team - 1) / team * rows;
        if (bands == 1 || time < min_time) {
            best = bands;
            min_time = time;
        }
    }
    return best;
}

}  // namespace

// A thread's memory, for frames of one width.
struct Int8Network::Workspace {
    Workspace(const Plan& plan, std::int64_t width)
        : w(width),
          shuffled(plan.shuffled * int8_pitch(width * plan.shuffled_scale)),
          pixels(static_cast<std::size_t>(3 * width)),
          pairs(2 * 3 * int8_pitch(width)) {
        for (const Int8Value& value : plan.values) {
            const std::int64_t pitch = int8_pitch(width * value.scale);
            Ring ring;
            ring.pitch = pitch;
            ring.row = pitch * value.planes();
            if (value.rows > 0) {
                ring.quads = Aligned<std::uint32_t>((value.rows + 1) * ring.row);
                std::uint32_t* at = ring.quads.data();
                for (std::int64_t plane = 0; plane < (value.rows + 1) * value.planes(); ++plane) {
                    at = std::fill_n(at, pitch, value.zero[plane % value.planes()]);
                }
            }
            ring.floats = Aligned<float>(value.float_rows * ring.row * kQuad);
            rings.push_back(std::move(ring));
        }
    }

    // Planes of the pair of rows y and y + 1 of the frame, y from -1 on.
    std::uint32_t* pair_of(std::int64_t y) {
        return pairs.data() + (y & 1) * 3 * rings[0].pitch + kSide;
    }

    std::int64_t w;
    std::vector<Ring> rings;
    Aligned<std::uint32_t> shuffled;  // a row before an inner shuffle
    std::vector<std::uint8_t> pixels;
    Aligned<std::uint32_t> pairs;  // two, of three planes each
};

// One band of rows on its way through.
class Int8Network::Band {
 public:
    Band(const Plan& plan, Workspace& workspace, const Frames& out, const ConstFrames& in,
         std::vector<double>* seconds)
        : plan_(plan),
          space_(workspace),
          out_(out),
          in_(in),
          set_(instruction_set()),
          seconds_(seconds) {}

    // Rows [begin, end) of image n.
    void run(std::int64_t n, std::int64_t begin, std::int64_t end) {
        const std::size_t last = plan_.layers.size();
        for (std::int64_t y = begin - 2 * plan_.margin; y < end; ++y) {
            for (std::size_t v = 0; v < last; ++v) {
                const std::int64_t ahead = plan_.values[v].ahead;
                if (y < begin - 2 * ahead || y + ahead < 0 || y + ahead >= in_.h) continue;
                timed(v, [&] { v == 0 ? read(n, y + ahead) : convolve_rows(v, y + ahead); });
            }
            if (y < begin) continue;
            const int scale = plan_.values[last].scale;
            for (int i = 0; i < scale; ++i) finish(n, y * scale + i, y == begin);
        }
    }

 private:
    template <typename F>
    void timed(std::size_t step, const F& f) {
        if (!seconds_) return f();
        const Clock::time_point began = Clock::now();
        f();
        (*seconds_)[step] += std::chrono::duration<double>(Clock::now() - began).count();
    }

    // Full vectors were written: make zeros again of what is beyond the image's right edge.
    void restore_border(std::uint32_t* row, std::size_t v) {
        const Int8Value& value = plan_.values[v];
        const std::int64_t w = in_.w * value.scale, beyond = (w + kSide - 1) / kSide * kSide - w;
        for (int q = 0; q < value.planes(); ++q) {
            std::fill_n(row + q * space_.rings[v].pitch + w, beyond, value.zero[q]);
        }
    }

    void read(std::int64_t n, std::int64_t y) {
        const std::uint8_t* const pixels = contiguous_row(
            in_, in_.data + n * in_.stride_n + y * in_.stride_h, in_.w, space_.pixels.data());
        std::uint32_t* const to = space_.rings[0].quad_row(plan_.values[0], y);
        set_.int8.widen(to, pixels, in_.w);
        if (plan_.values[0].fine) sixteenths(to + space_.rings[0].pitch, to);
    }

    // A sixteenth of each byte, rounded.
    void sixteenths(std::uint32_t* dst, const std::uint32_t* src) {
        static_assert(kFineSteps == 16);
        for (std::int64_t x = 0; x < in_.w; ++x) {
            dst[x] = (src[x] >> 4 & 0x0f0f0f0fu) + (src[x] >> 3 & 0x01010101u);
        }
    }

    // What follows from row y of the frame.
    void convolve_rows(std::size_t v, std::int64_t y) {
        const int scale = plan_.values[v].scale / plan_.values[v].shuffle;
        for (int i = 0; i < scale; ++i) {
            plan_.values[v].shuffle == 1 ? convolve(v, y * scale + i)
                                         : convolve_and_shuffle(v, y * scale + i);
        }
    }

    void convolve(std::size_t v, std::int64_t y) {
        const Int8Value& value = plan_.values[v];
        Int8Row row = described(v, y);
        if (value.rows > 0) row.dst = space_.rings[v].quad_row(value, y);
        if (value.fine) row.rest = row.dst + value.quads * row.dst_pitch;
        if (value.float_rows > 0) row.values = space_.rings[v].float_row(value, y);
        set_.int8.conv(row);
        if (row.dst) restore_border(row.dst, v);
    }

    void convolve_and_shuffle(std::size_t v, std::int64_t y) {
        const Int8Value& value = plan_.values[v];
        const int r = value.shuffle;
        Int8Row row = described(v, y);
        row.dst = space_.shuffled.data();
        if (value.fine) row.rest = row.dst + r * r * value.quads * row.dst_pitch;
        set_.int8.conv(row);
        const Ring& ring = space_.rings[v];
        const std::int64_t apart = value.quads * row.dst_pitch;  // from place to place
        for (int i = 0; i < r; ++i) {
            std::uint32_t* to = space_.rings[v].quad_row(value, y * r + i);
            for (int plane = 0; plane < value.planes(); ++plane, to += ring.pitch) {
                const bool second = plane >= value.quads;
                const std::uint32_t* const from = (second ? row.rest : row.dst) + i * r * apart +
                                                  plane % value.quads * row.dst_pitch;
                for (int j = 0; j < r; ++j) spread(to + j, r, from + j * apart, row.w);
            }
        }
    }

    static void spread(std::uint32_t* dst, int step, const std::uint32_t* src, std::int64_t w) {
        for (std::int64_t x = 0; x < w; ++x) dst[x * step] = src[x];
    }

    // Row y of value v, but for where its results go.
    Int8Row described(std::size_t v, std::int64_t y) {
        const Int8Layer& layer = plan_.layers[v - 1];
        const auto source = static_cast<std::size_t>(layer.source);
        for (int i = 0; i < layer.size; ++i) {
            const std::int64_t at = y + i - layer.size / 2;
            sources_[i] = at < 0 || at >= in_.h * plan_.values[source].scale
                              ? space_.rings[source].outside(plan_.values[source])
                              : space_.rings[source].quad_row(plan_.values[source], at);
        }
        Int8Row row;
        row.src = sources_;
        row.src_pitch = row.dst_pitch = row.values_pitch = space_.rings[source].pitch;
        row.quads = plan_.values[source].planes();
        row.size = layer.size;
        row.weight = layer.weight.data();
        row.bias = layer.bias.data();
        row.offset = layer.offset.data();
        row.scale = layer.scale.data();
        row.slope = layer.slope.data();
        row.zero = layer.zero.data();
        row.inverse_step = layer.inverse_step.data();
        row.channel = layer.channel.data();
        row.activation = layer.activation;
        row.outputs = layer.outputs;
        row.w = in_.w * plan_.values[source].scale;
        if (layer.add > 0) {
            const auto added = static_cast<std::size_t>(layer.add);
            row.add = space_.rings[added].float_row(plan_.values[added], y);
        }
        return row;
    }

    // Row y of the last value, straight to rows of the frame.
    void finish(std::int64_t n, std::int64_t y, bool first) {
        const Int8Frame& frame = plan_.frame;
        const std::size_t last = plan_.layers.size();
        Int8Pixels pixels;
        if (!frame.base.empty()) {
            timed(last + 1, [&] {
                if (first) pair_rows(y - 1);
                pair_rows(y);
            });
            pixels.base = frame.base.data();
            pixels.pairs[0] = space_.pair_of(y - 1);
            pixels.pairs[1] = space_.pair_of(y);
            pixels.pitch = space_.rings[0].pitch;
            pixels.total = frame.total;
            pixels.twice = frame.twice;
            pixels.unit = frame.unit;
        }
        Int8Row row = described(last, y);
        row.pixels = &pixels;
        row.dst = space_.rings[last].quad_row(plan_.values[last], 0);
        timed(last, [&] { set_.int8.conv(row); });
        timed(last + 1, [&] { write(n, y, row.dst); });
    }

    // The base image between rows y and y + 1 of the frame; the image's edges go on outside it.
    void pair_rows(std::int64_t y) {
        const auto row = [&](std::int64_t at) {
            return space_.rings[0].quad_row(plan_.values[0],
                                            std::clamp<std::int64_t>(at, 0, in_.h - 1));
        };
        set_.int8.neighbours(space_.pair_of(y), space_.rings[0].pitch, row(y), row(y + 1), in_.w);
    }

    void write(std::int64_t n, std::int64_t y, const std::uint32_t* quads) {
        const Int8Frame& frame = plan_.frame;
        const std::int64_t pitch = space_.rings.back().pitch;
        const std::int64_t w = in_.w * plan_.values.back().scale;
        std::uint8_t* dst = out_.data + n * out_.stride_n + y * frame.shuffle * out_.stride_h;
        for (int i = 0; i < frame.shuffle; ++i) {
            set_.int8.interleave(dst, quads, pitch, 3 * frame.shuffle, w);
            dst += out_.stride_h;
            quads += frame.quads * pitch;
        }
    }

    const Plan& plan_;
    Workspace& space_;
    const Frames& out_;
    const ConstFrames& in_;
    const InstructionSet& set_;
    const std::uint32_t* sources_[2 * kSide];  // rows that the current one is computed from
    std::vector<double>* const seconds_;
};

Int8Network::Int8Network(const std::vector<Convolution>& layers, const Epilogue& epilogue)
    : plan_(std::make_unique<const Plan>(layers, epilogue)) {}

Int8Network::~Int8Network() = default;

int Int8Network::scale() const { return plan_->epilogue.scale; }

int Int8Network::steps() const { return static_cast<int>(plan_->layers.size()) + 2; }

int Int8Network::team(std::int64_t n, std::int64_t h, std::int64_t w, int threads) const {
    const double work = plan_->work * static_cast<double>(n * h * w);
    const auto bytes = static_cast<std::int64_t>(std::min(work / kWorkPerByte, 1e15));
    return team_size(n * h, bytes, threads);
}

std::int64_t Int8Network::workspace_bytes(std::int64_t n, std::int64_t h, std::int64_t w,
                                          int threads) const {
    if (n == 0 || h == 0 || w == 0) return 0;
    std::int64_t bytes = 3 * w;
    const auto add = [&](std::int64_t planes, std::int64_t width) {
        bytes += planes * int8_pitch(width) * std::int64_t{sizeof(std::uint32_t)};
    };
    add(plan_->shuffled, w * plan_->shuffled_scale);
    add(2 * 3, w);  // pairs of rows
    for (const Int8Value& value : plan_->values) {
        const std::int64_t rows = value.rows > 0 ? value.rows + 1 : 0;
        add((rows + value.float_rows * kQuad) * value.planes(), w * value.scale);
    }
    return team(n, h, w, threads) * bytes;
}

void Int8Network::run(const Frames& out, const ConstFrames& in, int threads,
                      double* seconds) const {
    const auto step_count = static_cast<std::size_t>(steps());
    if (seconds) std::fill_n(seconds, step_count, 0.0);
    if (in.n == 0 || in.h == 0 || in.w == 0) return;
    const int count = team(in.n, in.h, in.w, threads);
    const std::int64_t bands = bands_of(in.n, in.h, plan_->margin, count);
    std::vector<std::unique_ptr<Workspace>> workspaces;
    std::vector<std::vector<double>> spent(static_cast<std::size_t>(count));
    std::deque<Band> slots;  // made here, since nothing in a thread may throw
    for (std::vector<double>& each : spent) {
        each.resize(seconds ? step_count : 0);
        workspaces.push_back(take(in.w));
        slots.emplace_back(*plan_, *workspaces.back(), out, in, seconds ? &each : nullptr);
    }
    for_rows(in.n * bands, count, [&](int slot, std::int64_t begin, std::int64_t end) {
        for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t b = unit % bands;
            slots[static_cast<std::size_t>(slot)].run(unit / bands, b * in.h / bands,
                                                      (b + 1) * in.h / bands);
        }
    });
    for (auto& workspace : workspaces) give_back(std::move(workspace));
    for (const std::vector<double>& each : spent) {
        for (std::size_t step = 0; step < each.size(); ++step) seconds[step] += each[step] / count;
    }
}

std::unique_ptr<Int8Network::Workspace> Int8Network::take(std::int64_t w) const {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto it = idle_.rbegin(); it != idle_.rend(); ++it) {
            if ((*it)->w != w) continue;
            std::unique_ptr<Workspace> found = std::move(*it);
            idle_.erase(std::next(it).base());
            return found;
        }
    }
    return std::make_unique<Workspace>(*plan_, w);
}

void Int8Network::give_back(std::unique_ptr<Workspace> workspace) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(workspace));
    if (idle_.size() > kKeptWorkspaces) idle_.erase(idle_.begin());
}

}  // namespace srsdk::cpu
