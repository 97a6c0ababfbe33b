// What the parts of Network share: its layers with their weights packed, and the memory of a run.
#pragma once

#include <cstdint>
#include <vector>

#include "conv.h"
#include "srsdk/network.h"

namespace srsdk::cpu {

// Floats from a cache line on, zero at first.
class Floats {
 public:
    Floats() = default;
    explicit Floats(std::int64_t count)
        : size_(count), memory_(static_cast<std::size_t>(count + 16), 0.0f) {}
    std::int64_t size() const { return size_; }
    float* data() {
        const auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
        return memory_.data() + (64 - at % 64) % 64 / sizeof(float);
    }

 private:
    std::int64_t size_ = 0;
    std::vector<float> memory_;
};

// How values of one kind lie in memory, which they may share: whatever writes there leaves the
// border alone, which stays zero.
struct Buffer {
    int channels = 0, scale = 1;
    int before = 0;  // border above and to the left
    int after = 0;   // border below and to the right, without what Winograd's tiles reach over

    int below() const { return after + kPatch; }
    std::int64_t row(std::int64_t w) const {
        return (before + w * scale + below()) * std::int64_t{channels};
    }
};

// The frame, or a convolution's result.
struct Value {
    int count = 0;      // channels, as the model counts them
    int channels = 0;   // with padding
    int scale = 1;      // relative to the frame
    int last_use = -1;  // the layer that reads it last
    int buffer = -1;    // its kind, and its memory where whole images are kept; -1: it is not kept
};

// A convolution, ready to run. Number n makes value n + 1.
struct Layer {
    int source = 0, add = -1;  // values
    int scale = 1;             // of the source relative to the frame
    int size = 1, channels = 0, blocks = 0, vectors = 0, shuffle = 1, dst_channels = 0;
    bool winograd = false;
    Activation activation = Activation::kNone;
    std::vector<float> weight, bias, slope;

    int step() const { return winograd ? winograd_step(size) : 1; }  // rows computed at a time
};

struct Network::Plan {
    Plan(const std::vector<Convolution>& convolutions, const Epilogue& epilogue);

    bool keeps_last() const { return values.back().buffer >= 0; }
    int steps() const { return static_cast<int>(layers.size()) + 1 + keeps_last(); }
    const Buffer& kind(std::size_t value) const {
        return buffers[static_cast<std::size_t>(values[value].buffer)];
    }

    Epilogue epilogue;
    std::vector<Value> values;  // the first is the frame
    std::vector<Layer> layers;
    std::vector<Buffer> buffers;  // the first is the frame's
    double work = 0;              // multiply-adds for each pixel of the frame
};

// How a batch goes through the network: some images at a time; of these a band of rows at a time,
// through all layers. Rows that the next band reads again are kept, so none is computed twice.
// Winograd's tiles lie as in a whole image, so all ways give the same bits.
struct Bands {
    Bands(const Network::Plan& plan, std::int64_t n, std::int64_t h, std::int64_t w,
          std::int64_t bytes);

    // Floats in all.
    std::int64_t size(const Network::Plan& plan, std::int64_t w) const;

    std::int64_t images = 1;
    bool whole = true;  // images in one band, in which values share memory as soon as they can
    std::vector<std::vector<std::int64_t>> ends;  // band by band, where each value's rows end
    std::vector<std::int64_t> rows;               // of each value that are kept, with the border
    std::vector<std::int64_t> below;              // of zeros, below each value
};

// Memory for frames of one size and a team of one size.
struct Network::Workspace {
    Workspace(const Plan& plan, const ConstFrames& in, int threads, Bands given);

    std::int64_t n, h, w;
    int team;
    Bands bands;
    std::vector<Floats> memory;   // of the buffers, or, unless bands.whole, of the values
    std::vector<Floats> scratch;  // one for each thread
    std::vector<std::vector<std::uint8_t>> pixels;
};

// Winograd's tiles done at a time: their patches, products and a block's weights share the
// second-level cache.
constexpr int kMostTiles = 24;

// Floats from plane to plane of a row of the last value.
inline std::int64_t last_pitch(std::int64_t w) { return (w + 15) / 16 * 16 + 16; }

// Floats of scratch memory that a thread needs.
std::int64_t scratch_size(const Network::Plan& plan, std::int64_t w);

}  // namespace srsdk::cpu
