// Network's bands: how many rows go through all layers at a time, and the memory that this takes.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "network.h"

namespace srsdk::cpu {
namespace {

using Ends = std::vector<std::int64_t>;

constexpr std::int64_t kMostRows = 128;  // in a band that is not a whole image
constexpr std::int64_t kRowStep = winograd_step(3);
// Pixels in a band: fewer are not worth waiting for all threads after each layer.
constexpr std::int64_t kFewestPixels = 4096;
// What activations should take. Where a core's cache holds the weights of all layers, thin bands
// are the fastest, since a layer's result is in the cache when the next one reads it. Where it does
// not, weights are loaded again for every band, and bands should be as thick as memory allows.
constexpr std::int64_t kForFewWeights = 10 << 20, kForManyWeights = 52 << 20;
constexpr std::size_t kFewWeights = std::size_t{512} << 10;  // bytes
constexpr std::int64_t kNothing = -1000000000000;            // far above the first row

std::int64_t round_up(std::int64_t value, std::int64_t step) {
    return (value > 0 ? (value + step - 1) / step : value / step) * step;
}

// Where the rows of each value end once the frame's first `rows` rows can be written. With rows
// below 0 the first values are on their way alone, or none is.
Ends ends_for(const Network::Plan& plan, std::int64_t h, std::int64_t rows) {
    Ends ends(plan.values.size(), kNothing);
    ends.back() = std::min(rows, h) * plan.values.back().scale;
    for (std::size_t n = plan.layers.size(); n-- > 0;) {
        const Layer& layer = plan.layers[n];
        const std::int64_t height = h * layer.scale;
        std::int64_t& end = ends[n + 1];
        const std::int64_t computed =
            std::min(height, round_up(round_up(end, layer.shuffle) / layer.shuffle, layer.step()));
        end = computed * layer.shuffle;
        std::int64_t& read = ends[static_cast<std::size_t>(layer.source)];
        read = std::max(read, std::min(height, computed + layer.size / 2));
        if (layer.add < 0) continue;
        std::int64_t& added = ends[static_cast<std::size_t>(layer.add)];
        added = std::max(added, end);
    }
    for (std::int64_t& end : ends) end = std::max<std::int64_t>(end, 0);
    return ends;
}

// The first rows that are still read once the values have come to `ends`.
Ends firsts_after(const Network::Plan& plan, const Ends& ends) {
    Ends firsts = ends;
    for (std::size_t n = 0; n < plan.layers.size(); ++n) {
        const Layer& layer = plan.layers[n];
        std::int64_t& read = firsts[static_cast<std::size_t>(layer.source)];
        read = std::min(read, ends[n + 1] / layer.shuffle - layer.size / 2);
        if (layer.add < 0) continue;
        std::int64_t& added = firsts[static_cast<std::size_t>(layer.add)];
        added = std::min(added, ends[n + 1]);
    }
    return firsts;
}

// Rows of zeros below an image that are read with it.
std::int64_t rows_below(const Network::Plan& plan, std::size_t value, std::int64_t h) {
    std::int64_t rows = 0;
    for (const Layer& layer : plan.layers) {
        if (static_cast<std::size_t>(layer.source) != value) continue;
        const std::int64_t height = h * layer.scale;
        rows = std::max(rows, round_up(height, layer.step()) - height + layer.size / 2);
    }
    return rows;
}

std::int64_t usual_bytes(const Network::Plan& plan) {
    std::size_t bytes = 0;
    for (const Layer& layer : plan.layers) bytes += layer.weight.size() * sizeof(float);
    return bytes <= kFewWeights ? kForFewWeights : kForManyWeights;
}

// A tile's rows must not be in the last places and the first ones.
std::int64_t granularity(const Network::Plan& plan) {
    std::int64_t most = 1;
    for (const Layer& layer : plan.layers) most = std::max<std::int64_t>(most, layer.shuffle);
    return kRowStep * most;
}

void cut(const Network::Plan& plan, std::int64_t h, std::int64_t band, Bands& bands) {
    const std::int64_t step = granularity(plan);
    bands.whole = false;
    bands.images = 1;
    bands.ends.clear();
    bands.rows.assign(plan.values.size(), 0);
    Ends firsts = firsts_after(plan, Ends(plan.values.size(), 0));
    std::int64_t row = band;
    while (ends_for(plan, h, row)[0] > 0) row -= band;
    while (row < h) {
        row += band;
        bands.ends.push_back(ends_for(plan, h, row));
        const Ends& ends = bands.ends.back();
        for (std::size_t v = 0; v < plan.values.size(); ++v) {
            if (plan.values[v].buffer < 0) continue;
            const Buffer& kind = plan.kind(v);
            const std::int64_t first = std::max<std::int64_t>(firsts[v], -kind.before);
            const bool last = ends[v] == h * kind.scale;
            const std::int64_t rows = ends[v] + (last ? bands.below[v] : 0) - first;
            bands.rows[v] = std::max(bands.rows[v], round_up(rows, step));
        }
        firsts = firsts_after(plan, ends);
    }
}

}  // namespace

Bands::Bands(const Network::Plan& plan, std::int64_t n, std::int64_t h, std::int64_t w,
             std::int64_t bytes) {
    const std::int64_t most = (bytes > 0 ? bytes : usual_bytes(plan)) / std::int64_t{sizeof(float)};
    ends.push_back(ends_for(plan, h, h));
    for (std::size_t v = 0; v < plan.values.size(); ++v) {
        const auto buffer = static_cast<std::size_t>(std::max(plan.values[v].buffer, 0));
        const Buffer& kind = plan.buffers[buffer];
        rows.push_back(kind.before + h * kind.scale + kind.below());
        below.push_back(rows_below(plan, v, h));
    }
    const std::int64_t image = size(plan, w);
    images = std::clamp<std::int64_t>(std::max(most / image, kFewestPixels / (h * w)), 1, n);
    const std::int64_t fewest = round_up((kFewestPixels + w - 1) / w, kRowStep);
    if (image <= most || h <= fewest) return;
    Bands bands = *this;
    for (std::int64_t band = std::max(kMostRows, fewest); band >= fewest; band -= kRowStep) {
        cut(plan, h, band, bands);
        if (bands.size(plan, w) <= most) break;
    }
    if (bands.size(plan, w) < image) *this = std::move(bands);
}

std::int64_t Bands::size(const Network::Plan& plan, std::int64_t w) const {
    std::vector<bool> counted(plan.buffers.size(), false);
    std::int64_t floats = 0;
    for (std::size_t v = 0; v < plan.values.size(); ++v) {
        if (plan.values[v].buffer < 0) continue;
        const auto buffer = static_cast<std::size_t>(plan.values[v].buffer);
        if (whole && counted[buffer]) continue;
        counted[buffer] = true;
        floats += images * rows[v] * plan.buffers[buffer].row(w);
    }
    return floats;
}

Network::Workspace::Workspace(const Plan& plan, const ConstFrames& in, int threads, Bands given)
    : n(in.n), h(in.h), w(in.w), team(threads), bands(std::move(given)) {
    memory.resize(bands.whole ? plan.buffers.size() : plan.values.size());
    for (std::size_t v = 0; v < plan.values.size(); ++v) {
        if (plan.values[v].buffer < 0) continue;
        const auto buffer = static_cast<std::size_t>(plan.values[v].buffer);
        Floats& floats = memory[bands.whole ? buffer : v];
        const std::int64_t count = bands.images * bands.rows[v] * plan.buffers[buffer].row(w);
        if (floats.size() < count) floats = Floats(count);
    }
    const auto count = static_cast<std::size_t>(team);
    for (std::size_t slot = 0; slot < count; ++slot) scratch.emplace_back(scratch_size(plan, w));
    pixels.assign(count, std::vector<std::uint8_t>(static_cast<std::size_t>(3 * w)));
}

std::int64_t scratch_size(const Network::Plan& plan, std::int64_t w) {
    std::int64_t floats = 0;
    for (const Layer& layer : plan.layers) {
        if (layer.winograd) {
            floats = std::max(floats, winograd_scratch(layer.channels, layer.blocks, kMostTiles));
        }
    }
    const Layer& last = plan.layers.back();
    const std::int64_t width = w * plan.values.back().scale;
    const std::int64_t row = round_up(width * last.dst_channels, 16);
    return std::max(floats, row + last.dst_channels * last_pitch(width));
}

}  // namespace srsdk::cpu
