// The CUDA kernels' bodies behind a C interface, for the host: tests/kernels/cuda_on_host.py.
#include "../../../kernels/cuda/blend.h"
#include "../../../kernels/cuda/on_host.h"
#include "../../../kernels/cuda/pack.h"
#include "../../../kernels/cuda/pixel_shuffle.h"
#include "../../../kernels/cuda/unpack.h"

using namespace srsdk;
using namespace srsdk::cuda;

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT void unpack(const Tensor* dst, const ConstFrames* src, int swap_rb, float scale,
                   int backward) {
    unpack_with(*dst, *src, swap_rb != 0, scale, OnHost{backward != 0});
}

EXPORT void pixel_shuffle(const Tensor* dst, const ConstTensor* src, int r, int backward) {
    pixel_shuffle_with(*dst, *src, r, OnHost{backward != 0});
}

EXPORT void pixel_shuffle_prelu(const Tensor* dst, const ConstTensor* src, int r, const float* bias,
                                const float* slope, int one_slope, int backward) {
    pixel_shuffle_prelu_with(*dst, *src, r, PReLU{bias, slope, one_slope != 0},
                             OnHost{backward != 0});
}

EXPORT void pack(const Frames* dst, const ConstTensor* x, int r, int kind, const ConstFrames* lr,
                 int scale, std::int64_t top, std::int64_t left, int swap_rb, int backward) {
    cpu::BaseImage base;
    base.kind = static_cast<cpu::Base>(kind);
    base.lr = *lr;
    base.scale = scale;
    base.top = top;
    base.left = left;
    pack_with(*dst, *x, r, base, swap_rb != 0, OnHost{backward != 0});
}

EXPORT void blend(const Frames* dst, const Face* faces, std::int64_t count, int backward) {
    blend_with(*dst, faces, count, OnHost{backward != 0});
}
