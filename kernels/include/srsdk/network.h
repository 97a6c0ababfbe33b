// Network: a chain of convolutions from u8 frames to u8 frames, run without leaving the kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "srsdk/pack.h"
#include "srsdk/views.h"

namespace srsdk::cpu {

// How a convolution's input and weights are made 8-bit integers, for Int8Network.
struct Quantization {
    const float* input_step = nullptr;         // (inputs,): a value is (u8 - zero) * step
    const std::uint8_t* input_zero = nullptr;  // (inputs,)
    const float* weight_step = nullptr;        // (outputs,): weight * input_step is s8 * step
    // Whether a second byte holds what the first one rounds off, in 1/16 of its step: finer where
    // rounding shows most, for twice the multiplications. The frame's bytes are exact: its second
    // ones are a sixteenth of the first, for what weights round off.
    bool fine = false;
};

// One convolution and what follows it: pixel shuffle, then activation, then the sum with another
// value. Values are numbered: 0 is the frame in [0, 1], 1 the first convolution's result, ...
struct Convolution {
    int source = 0;  // value that it reads
    int inputs = 0, outputs = 0, size = 1;
    const float* weight = nullptr;  // (outputs, inputs, size, size), size odd
    const float* bias = nullptr;    // (outputs,)
    const float* slope = nullptr;   // (outputs,) where negative: 0 is a ReLU; null: no activation
    int shuffle = 1;
    int add = -1;  // value that is added to the result, or -1
    Quantization int8;
};

// How the last value becomes the frame.
struct Epilogue {
    int scale = 1;    // of the frame in all
    int shuffle = 1;  // pixel shuffle of the last convolution's result: 1, 2, 3, 4 or 8
    Base base = Base::kNone;
    bool swap_rb = false;  // the frame's channel order is the reverse of the model's
};

class Network {
 public:
    // Throws std::invalid_argument where sizes do not fit each other. The weights are copied.
    // `activation_bytes`: what activations should take; 0 = what is fast and below 60 MB. Frames
    // for which that is too little go through the layers in bands of rows, of some thousand pixels
    // at least: wide frames take more where there are many layers. It changes no bit of the result.
    Network(const std::vector<Convolution>& layers, const Epilogue& epilogue,
            std::int64_t activation_bytes = 0);
    ~Network();

    // Frames of any size and strides -> frames `scale` times as large (pixels contiguous within a
    // row), which must not overlap them. May be called from several threads at once.
    // `threads`: 0 = as many as the process may run on. Throws std::bad_alloc only.
    // `seconds`: where to write what each of `steps()` steps took, or null.
    void run(const Frames& out, const ConstFrames& in, int threads,
             double* seconds = nullptr) const;

    // Bytes that a run with n frames of h x w pixels takes beside the weights.
    std::int64_t workspace_bytes(std::int64_t n, std::int64_t h, std::int64_t w, int threads) const;

    int scale() const;
    // Reading the frame, each convolution, and writing the frame, unless the last convolution does
    // that row by row.
    int steps() const;

    struct Plan;

 private:
    struct Workspace;
    class Run;

    int team(std::int64_t n, std::int64_t h, std::int64_t w, int threads) const;
    std::unique_ptr<Workspace> take(const ConstFrames& in, int team) const;
    void give_back(std::unique_ptr<Workspace> workspace) const;

    std::unique_ptr<const Plan> plan_;
    std::int64_t activation_bytes_;
    mutable std::mutex mutex_;
    mutable std::vector<std::unique_ptr<Workspace>> idle_;  // the last used at the end
};

}  // namespace srsdk::cpu
