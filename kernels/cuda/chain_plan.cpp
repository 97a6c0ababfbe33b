#include "chain_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "../cpu/half.h"

namespace srsdk::cuda {
namespace {

constexpr float kMostHalf = 65504.0f;

// Two float16 in a word, the first one low.
std::uint32_t pair(float first, float second) {
    if (!(std::fabs(first) <= kMostHalf && std::fabs(second) <= kMostHalf))
        throw std::invalid_argument("a weight is too large for float16");
    return cpu::round_to_half(first) | static_cast<std::uint32_t>(cpu::round_to_half(second)) << 16;
}

// Words for all lanes of a register that holds rows `depth(k)`, k in {2q, 2q + 1}, of a matrix of 8
// columns: b of mma.sync, see warp.h.
template <typename Element>
void push(std::vector<std::uint32_t>& to, const Element& element) {
    for (int lane = 0; lane < 32; ++lane) {
        const int k = 2 * (lane % 4), column = lane / 4;
        to.push_back(pair(element(k, column), element(k + 1, column)));
    }
}

float tap(const Layer& layer, int output, int input, int dy, int dx) {
    const int at = ((output * layer.inputs + input) * layer.size + dy) * layer.size + dx;
    return layer.weight[at];
}

// Depth of a matrix that is laid over the frame: three pixels in a row, four channels each.
struct FramePoint {
    int dx, c;
    bool real;
    explicit FramePoint(int k) : dx(k / 4), c(k % 4), real(k / 4 < 3 && k % 4 < 3) {}
};

void pack_first(PackedWeights& to, const Layer& layer, const Shape& shape, bool swap_rb) {
    const int tiles = chain_tiles(shape.planes);
    for (int slice = 0; slice < shape.planes / tiles; ++slice)
        for (int dy = 0; dy < 3; ++dy)
            for (int half = 0; half < 2; ++half)
                for (int tile = 0; tile < tiles; ++tile)
                    push(to.words, [&](int k, int column) {
                        const FramePoint point(8 * half + k);
                        if (!point.real) return 0.0f;
                        const int output = 8 * (slice * tiles + tile) + column;
                        const int input = swap_rb ? 2 - point.c : point.c;
                        // The frame is there as value / 256.
                        return tap(layer, output, input, dy, point.dx) * (256.0f / 255.0f);
                    });
    to.biases.insert(to.biases.end(), layer.bias, layer.bias + layer.outputs);
}

void pack_hidden(PackedWeights& to, const Layer& layer, const Shape& shape) {
    const int tiles = chain_tiles(shape.planes);
    for (int slice = 0; slice < shape.planes / tiles; ++slice)
        for (int dy = 0; dy < 3; ++dy)
            for (int dx = 0; dx < 3; ++dx)
                for (int plane = 0; plane < shape.planes; ++plane)
                    for (int tile = 0; tile < tiles; ++tile)
                        push(to.words, [&](int k, int column) {
                            const int output = 8 * (slice * tiles + tile) + column;
                            return tap(layer, output, 8 * plane + k, dy, dx);
                        });
    to.biases.insert(to.biases.end(), layer.bias, layer.bias + layer.outputs);
}

// Weights of three neighbours along an axis for the base image at `phase` of `scale`.
std::array<float, 3> neighbours(cpu::Base base, int scale, int phase) {
    if (base == cpu::Base::kNone) return {0.0f, 0.0f, 0.0f};
    if (base == cpu::Base::kNearest) return {0.0f, 1.0f, 0.0f};
    const int period = 2 * scale, position = 2 * phase + 1 + scale;
    const auto first = static_cast<std::size_t>(position / period);
    const float fraction = static_cast<float>(position % period) / static_cast<float>(period);
    std::array<float, 3> weights{};
    weights[first] = 1.0f - fraction;
    weights[first + 1] = fraction;
    return weights;
}

// What column `8 * tile + column` of a slice of the last layer becomes.
struct LastColumn {
    int output = -1;  // channel of the layer, or none
    int i = 0, j = 0, c = 0;

    LastColumn(const Tail& tail, int slice, int tile, int column) {
        const int r = tail.shuffle, of_four = 2 * tile + column % 2;
        const LastBytes where = last_bytes(r, column / 2, slice);
        if (of_four >= where.count) return;
        i = where.row;
        j = (where.byte + of_four) / 3;
        c = (where.byte + of_four) % 3;
        output = ((tail.swap_rb ? 2 - c : c) * r + i) * r + j;
    }
};

void pack_last(PackedWeights& to, const Layer& layer, const Shape& shape, const Tail& tail) {
    const int size = layer.size;
    for (int slice = 0; slice < last_slices(tail.shuffle); ++slice) {
        for (int dy = 0; dy < size; ++dy)
            for (int dx = 0; dx < size; ++dx)
                for (int plane = 0; plane < shape.planes; ++plane)
                    for (int tile = 0; tile < kLastTiles; ++tile)
                        push(to.words, [&](int k, int column) {
                            const LastColumn at(tail, slice, tile, column);
                            if (at.output < 0) return 0.0f;
                            return 255.0f * tap(layer, at.output, 8 * plane + k, dy, dx);
                        });
        for (std::size_t dy = 0; dy < 3; ++dy)
            for (int half = 0; half < 2; ++half)
                for (int tile = 0; tile < kLastTiles; ++tile)
                    push(to.words, [&](int k, int column) {
                        const LastColumn at(tail, slice, tile, column);
                        const FramePoint point(8 * half + k);
                        if (at.output < 0 || !point.real || point.c != at.c) return 0.0f;
                        const auto dx = static_cast<std::size_t>(point.dx);
                        return 256.0f * neighbours(tail.base, tail.shuffle, at.i)[dy] *
                               neighbours(tail.base, tail.shuffle, at.j)[dx];
                    });
        for (int tile = 0; tile < kLastTiles; ++tile)
            for (int column = 0; column < 8; ++column) {
                const LastColumn at(tail, slice, tile, column);
                to.biases.push_back(at.output < 0 ? 0.0f : 255.0f * layer.bias[at.output]);
            }
    }
}

void require(bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
}

// ---- cutting into launches and tiles

constexpr int kOverread = 18;  // pixels that a column of 16 may look at behind the end of a row

int round_up(int value, int step) { return (value + step - 1) / step * step; }
int columns(int width) { return (width + 15) / 16; }

// A segment of layers [begin, end) of first, hidden..., last, for one tile size.
Segment cut(const Shape& shape, int begin, int end, int w, int h, int tile_w, int tile_h) {
    Segment out{};
    out.w = w;
    out.h = h;
    out.tile_w = tile_w;
    out.tile_h = tile_h;
    out.across = (w - 1) / tile_w + 1;
    out.down = (h - 1) / tile_h + 1;
    out.first = begin == 0;
    out.last = end == shape.hidden + 2;
    out.hidden = end - begin - (out.first ? 1 : 0) - (out.last ? 1 : 0);
    out.last_size = shape.last_size;
    out.shuffle = shape.shuffle;
    out.margin = out.hidden + (out.last && shape.last_size == 3 ? 1 : 0);
    const int wide = tile_w + 2 * out.margin, high = tile_h + 2 * out.margin;
    out.pitch = out.first ? 16 * columns(wide) : std::max(wide, 16 * columns(wide - 2));
    out.frame_pitch = out.first ? wide + 3 : tile_w + 3;
    out.staged_pitch = 16 * columns(tile_w) * 3 * shape.shuffle;
    int bytes[2] = {0, 0};
    for (int k = 0; k < 2; ++k) {
        out.buffers[k].plane = ((high - 2 * k) * out.pitch + kOverread) * 16;
        if (k == 0 || out.hidden > 0) bytes[k] = shape.planes * out.buffers[k].plane;
    }
    const auto frame = [&](int rows) {
        return round_up((rows * out.frame_pitch + kOverread) * 8, 16);
    };
    if (out.first) bytes[1] = std::max(bytes[1], frame(high + 2));
    if (out.last) {
        out.frame_bytes = frame(tile_h + 2);
        int& free = bytes[out.hidden % 2 == 0 ? 1 : 0];
        free = std::max(free, out.frame_bytes + tile_h * shape.shuffle * out.staged_pitch + 16);
    }
    out.buffers[0].offset = 0;
    out.buffers[1].offset = round_up(bytes[0], 128);
    out.shared_bytes = out.buffers[1].offset + round_up(bytes[1], 128);
    return out;
}

// Clocks of a launch, roughly: what tensor cores and memory take, one tile after the other on each
// multiprocessor. Only compared with others of the same network.
double clocks(const Shape& shape, const Segment& cut, const Gpu& gpu, std::int64_t n) {
    constexpr double kProduct = 1.6;      // m16n8k16 of one multiprocessor
    constexpr double kLayer = 1000.0;     // a barrier, weights, the first loads
    constexpr double kByte = 1.0 / 12.0;  // to and from L2
    constexpr double kLaunch = 4000.0;
    double tile = 0.0;
    const auto layer = [&](int margin, double products) {
        tile += columns(cut.tile_w + 2 * margin) * (cut.tile_h + 2 * margin) * products * kProduct +
                kLayer;
    };
    const auto area = [&](int margin) {
        return double{1} * (cut.tile_w + 2 * margin) * (cut.tile_h + 2 * margin);
    };
    int margin = cut.margin;
    if (cut.first) {
        layer(margin, 3.0 * shape.planes);
        tile += area(margin + 1) * 3 * kByte + kLayer;
    } else {
        tile += area(margin) * 16 * shape.planes * kByte + kLayer;
    }
    for (int k = 0; k < cut.hidden; ++k) layer(--margin, 4.5 * shape.planes * shape.planes);
    if (cut.last) {
        const int slices = last_slices(cut.shuffle);
        layer(0, slices * kLastTiles * (0.5 * cut.last_size * cut.last_size * shape.planes + 3.0));
        tile += area(1) * 3 * kByte + area(0) * 3 * cut.shuffle * cut.shuffle * kByte + 2 * kLayer;
    } else {
        tile += area(0) * 16 * shape.planes * kByte + kLayer;
    }
    const std::int64_t tiles = std::int64_t{cut.across} * cut.down * n;
    const std::int64_t turns = (tiles - 1) / gpu.multiprocessors + 1;
    return kLaunch + static_cast<double>(turns) * tile;
}

struct Choice {
    double clocks = std::numeric_limits<double>::infinity();
    Segment cut{};
};

constexpr int kMostColumns = 12;  // of 16 pixels, in a tile

// The best tile for a segment, of each width in columns; without any where none fits.
std::vector<Choice> best_tiles(const Shape& shape, const Gpu& gpu, int begin, int end,
                               std::int64_t n, int h, int w) {
    std::vector<Choice> found;
    const int margin = cut(shape, begin, end, w, h, 1, 1).margin - (begin == 0 ? 0 : 1);
    int last_w = 0;
    for (int wide = 1; wide <= kMostColumns; ++wide) {
        const int max_w = 16 * wide - 2 * std::max(margin, 0);
        if (max_w < 1) continue;
        const int tile_w = (w - 1) / ((w - 1) / max_w + 1) + 1;
        if (tile_w == last_w) continue;
        last_w = tile_w;
        Choice best;
        for (int down = (h - 1) / 160 + 1, last_h = 0; down <= h; ++down) {
            const int tile_h = (h - 1) / down + 1;
            if (tile_h == last_h) continue;
            last_h = tile_h;
            const Segment tried = cut(shape, begin, end, w, h, tile_w, tile_h);
            if (tried.shared_bytes > gpu.shared_bytes) continue;
            const double cost = clocks(shape, tried, gpu, n);
            if (cost < best.clocks) best = {cost, tried};
        }
        if (std::isfinite(best.clocks)) found.push_back(best);
    }
    std::sort(found.begin(), found.end(),
              [](const Choice& a, const Choice& b) { return a.clocks < b.clocks; });
    return found;
}

Plan::Step step_of(const Shape& shape, int begin, const Segment& segment) {
    Plan::Step step{segment, 0, 0};
    if (begin > 0) {
        step.words =
            first_words(shape.planes) + std::int64_t{1} * (begin - 1) * hidden_words(shape.planes);
        step.biases = std::int64_t{8} * shape.planes * begin;
    }
    return step;
}

}  // namespace

Shape shape_of(const std::vector<Layer>& layers, const Tail& tail) {
    const int r = tail.shuffle;
    require(r == 1 || r == 2 || r == 3 || r == 4 || r == 8, "the scale must be 1, 2, 3, 4 or 8");
    require(layers.size() >= 2, "a chain has two layers at least");
    const int channels = layers.front().outputs;
    require(channels == 16 || channels == 24 || channels == 32 || channels == 48,
            "hidden layers must have 16, 24, 32 or 48 channels, not " + std::to_string(channels));
    for (std::size_t k = 0; k < layers.size(); ++k) {
        const Layer& layer = layers[k];
        const bool last = k + 1 == layers.size();
        const std::string name = "layer " + std::to_string(k);
        require(layer.inputs == (k == 0 ? 3 : channels) &&
                    layer.outputs == (last ? 3 * r * r : channels),
                name + " has " + std::to_string(layer.inputs) + " inputs and " +
                    std::to_string(layer.outputs) + " outputs");
        require(layer.size == 3 || (last && layer.size == 1),
                name + " has a kernel of " + std::to_string(layer.size));
    }
    return {channels / 8, static_cast<int>(layers.size()) - 2, layers.back().size, r};
}

PackedWeights pack_weights(const std::vector<Layer>& layers, const Tail& tail, const Shape& shape) {
    PackedWeights out;
    pack_first(out, layers.front(), shape, tail.swap_rb);
    for (std::size_t k = 1; k + 1 < layers.size(); ++k) pack_hidden(out, layers[k], shape);
    pack_last(out, layers.back(), shape, tail);
    return out;
}

std::vector<Plan> plans(const Shape& shape, const Gpu& gpu, std::int64_t n, std::int64_t h,
                        std::int64_t w) {
    // Tiles are counted, and pixels of a plane of activations addressed, in 31 bits.
    require(h * w < std::int64_t{1} << 27 && n * h * w < std::int64_t{1} << 31,
            "the batch is too large for one call");
    constexpr std::size_t kMostLaunches = 4, kTiles = 5;
    const auto layers = static_cast<std::size_t>(shape.hidden) + 2;
    // The best way to the end of a layer in so many launches, from the front.
    struct Way {
        double clocks = std::numeric_limits<double>::infinity();
        std::size_t begin = 0;
        Segment cut{};
    };
    std::vector<std::vector<Way>> ways(kMostLaunches + 1, std::vector<Way>(layers + 1));
    ways[0][0].clocks = 0.0;
    std::vector<Choice> whole;
    for (std::size_t end = 1; end <= layers; ++end) {
        for (std::size_t begin = 0; begin < end; ++begin) {
            const std::vector<Choice> tiles =
                best_tiles(shape, gpu, static_cast<int>(begin), static_cast<int>(end), n,
                           static_cast<int>(h), static_cast<int>(w));
            if (tiles.empty()) continue;
            if (begin == 0 && end == layers) whole = tiles;
            for (std::size_t launches = 1; launches <= kMostLaunches; ++launches) {
                const double total = ways[launches - 1][begin].clocks + tiles.front().clocks;
                Way& way = ways[launches][end];
                if (total < way.clocks) way = {total, begin, tiles.front().cut};
            }
        }
    }
    std::vector<std::pair<double, Plan>> found;
    for (std::size_t k = 0; k < std::min(whole.size(), kTiles); ++k) {
        found.push_back({whole[k].clocks, {{step_of(shape, 0, whole[k].cut)}, 0}});
    }
    for (std::size_t launches = 2; launches <= kMostLaunches; ++launches) {
        if (!std::isfinite(ways[launches][layers].clocks)) continue;
        Plan plan{{}, n * h * w * 16 * shape.planes};
        for (std::size_t end = layers, left = launches; left > 0; --left) {
            const Way& way = ways[left][end];
            plan.steps.insert(plan.steps.begin(),
                              step_of(shape, static_cast<int>(way.begin), way.cut));
            end = way.begin;
        }
        found.push_back({ways[launches][layers].clocks, plan});
    }
    require(!found.empty(), "no tile fits into this GPU's shared memory");
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Plan> out;
    for (const auto& [cost, plan] : found) out.push_back(plan);
    return out;
}

std::string describe(const Plan& plan, std::int64_t n) {
    std::string out;
    for (const Plan::Step& step : plan.steps) {
        const Segment& cut = step.segment;
        out += std::string(out.empty() ? "" : "\n") + (cut.first ? "first + " : "") +
               std::to_string(cut.hidden) + " hidden" + (cut.last ? " + last" : "") + ": " +
               std::to_string(std::int64_t{cut.across} * cut.down * n) + " tiles of " +
               std::to_string(cut.tile_w) + "x" + std::to_string(cut.tile_h) + ", " +
               std::to_string(cut.shared_bytes / 1024) + " KB shared";
    }
    return out;
}

}  // namespace srsdk::cuda
