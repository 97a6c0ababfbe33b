// Network: a chain of 3x3 convolutions from u8 frames to u8 frames on tensor cores.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "srsdk/cuda.h"

namespace srsdk::cuda {

// A convolution with padding, followed by a ReLU unless it is the last.
struct Layer {
    int inputs = 0, outputs = 0, size = 3;
    const float* weight = nullptr;  // (outputs, inputs, size, size)
    const float* bias = nullptr;    // (outputs,)
};

// What becomes of the last layer's 3 * r * r channels.
struct Tail {
    int shuffle = 1;  // r: 1, 2, 3, 4 or 8, which is the scale of the frame as well
    cpu::Base base = cpu::Base::kNone;
    bool swap_rb = false;  // the frame's channel order is the reverse of the model's
};

// Float16 in, float32 sums. On GPUs from compute capability 8.0 on.
class Network {
 public:
    // Layers: 3 -> c, any number of c -> c, c -> 3 * r * r, with c = 16, 24, 32 or 48; all of size
    // 3, the last of size 3 or 1. Copies the weights to the current device. Throws
    // std::invalid_argument for other layers, Error where the device is too old or out of memory.
    Network(const std::vector<Layer>& layers, const Tail& tail);
    ~Network();

    // Bytes of device memory that `run` needs beside the frames.
    std::int64_t scratch_bytes(std::int64_t n, std::int64_t h, std::int64_t w) const;

    // (n, h, w, 3) -> (n, r * h, r * w, 3), asynchronously. Pixels of `out` are contiguous.
    // `scratch` is aligned to 16 bytes; one call at a time uses it.
    void run(const Frames& out, const ConstFrames& in, void* scratch, Stream stream) const;

    // Runs the frames in several ways and stays with the fastest for frames of this size, unless
    // that is known; waits for the stream. Returns what was tried and its milliseconds, the fastest
    // first. Not while the stream is recorded.
    struct Trial {
        std::string what;
        float milliseconds;
    };
    std::vector<Trial> tune(const Frames& out, const ConstFrames& in, void* scratch,
                            Stream stream) const;

    int scale() const;
    // How frames of a size are cut up, one line a launch.
    std::string describe(std::int64_t n, std::int64_t h, std::int64_t w) const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace srsdk::cuda
