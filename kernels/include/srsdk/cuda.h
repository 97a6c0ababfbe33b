// The CUDA kernels: the operations of the CPU headers on device memory, asynchronously on a stream.
//
// Nothing here allocates, synchronises or keeps anything: memory must live until the stream has
// passed the call. Sizes and strides are 64 bits. Failures to launch throw srsdk::cuda::Error.
#pragma once

#include <cstdint>
#include <stdexcept>

#include "srsdk/pack.h"
#include "srsdk/views.h"

namespace srsdk::cuda {

using Stream = void*;  // a cudaStream_t, without CUDA's headers

class Error : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// n tensors of float32 or float16, (n, c, h, w), any strides (in bytes). Fast where the innermost
// axis is w (NCHW) or c (NHWC) and dense.
template <typename Void>
struct BasicTensor {
    Void* data = nullptr;
    DType dtype = DType::kFloat32;
    std::int64_t n = 0, c = 0, h = 0, w = 0;
    std::int64_t stride_n = 0, stride_c = 0, stride_h = 0, stride_w = 0;
};
using Tensor = BasicTensor<void>;
using ConstTensor = BasicTensor<const void>;

// dst[n, c, y, x] = src[n, y, x, swap_rb ? 2 - c : c] * scale in float32, then rounded to dst's
// dtype.
void unpack(const Tensor& dst, const ConstFrames& src, bool swap_rb, float scale, Stream stream);

// dst[n, c, y * r + i, x * r + j] = src[n, (c * r + i) * r + j, y, x]; r is 1, 2, 3, 4 or 8.
void pixel_shuffle(const Tensor& dst, const ConstTensor& src, int r, Stream stream);

// The same of prelu(src + bias): v > 0 ? v : v * slope, in float32, then rounded to dst's dtype.
// bias: one for each channel of src, or null; slope: one for each channel of dst, or one for all.
struct PReLU {
    const float* bias = nullptr;
    const float* slope = nullptr;
    bool one_slope = false;
};
void pixel_shuffle_prelu(const Tensor& dst, const ConstTensor& src, int r, const PReLU& prelu,
                         Stream stream);

// cpu::pack, bit for bit.
void pack(const Frames& dst, const ConstTensor& x, int r, const cpu::BaseImage& base, bool swap_rb,
          Stream stream);

// cpu::blend of `count` faces one after the other, as far as the result goes, in one launch for
// every 32 of them.
struct Face {
    ConstFrames patch;
    std::int64_t top = 0, left = 0;
    const std::uint16_t* weight_y = nullptr;
    const std::uint16_t* weight_x = nullptr;
};
void blend(const Frames& dst, const Face* faces, std::int64_t count, Stream stream);

}  // namespace srsdk::cuda
