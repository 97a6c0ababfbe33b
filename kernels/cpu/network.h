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

// The memory that a value lives in. Values that are not needed at once share one, if they are of
// one kind: whatever writes there leaves the border alone, which stays zero.
struct Buffer {
    int channels = 0, scale = 1;
    int before = 0;  // border above and to the left
    int after = 0;   // border below and to the right, without what Winograd's tiles reach over

    std::int64_t row(std::int64_t w) const {
        return (before + w * scale + after + kPatch) * std::int64_t{channels};
    }
    std::int64_t image(std::int64_t h, std::int64_t w) const {
        return (before + h * scale + after + kPatch) * row(w);
    }
    std::int64_t first(std::int64_t w) const { return before * (row(w) + std::int64_t{channels}); }
};

// A convolution, ready to run.
struct Layer {
    int source = 0, target = -1, add = -1;  // buffers; target -1: rows on their way to the frame
    int scale = 1;                          // of the source relative to the frame
    int size = 1, channels = 0, blocks = 0, vectors = 0, shuffle = 1, dst_channels = 0;
    bool winograd = false;
    Activation activation = Activation::kNone;
    std::vector<float> weight, bias, slope;
};

struct Network::Plan {
    Plan(const std::vector<Convolution>& convolutions, const Epilogue& epilogue);

    int steps() const { return static_cast<int>(layers.size()) + 1 + (layers.back().target >= 0); }

    Epilogue epilogue;
    std::vector<Layer> layers;
    std::vector<Buffer> buffers;  // the first is the frame's
    double work = 0;              // multiply-adds for each pixel of the frame
};

// Memory for frames of one size and a team of one size.
struct Network::Workspace {
    std::int64_t n = 0, h = 0, w = 0;
    int team = 0;
    std::vector<Floats> buffers;
    std::vector<Floats> scratch;  // one for each thread
    std::vector<std::vector<std::uint8_t>> pixels;
};

}  // namespace srsdk::cpu
