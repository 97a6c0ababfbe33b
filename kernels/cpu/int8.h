// Int8 convolutions: the inner functions, one table of them for each instruction set.
//
// A row of activations is u8 in planes of quads: a quad is four channels of one pixel in a 32-bit
// word, and a plane holds one quad of all pixels of the row. A vector thus holds the same four
// channels of neighbouring pixels, which is what the dot-product instructions of x86 (VNNI) and
// Arm take: each adds four products of u8 and s8 to a 32-bit sum. All sums are integers and all
// that follows is single IEEE operations, so that every instruction set gives the same bits.
#pragma once

#include <cstdint>

#include "conv.h"

namespace srsdk::cpu {

constexpr int kQuad = 4;            // channels in a quad
constexpr int kInt8Outputs = 8;     // output channels that weights are packed for
constexpr std::int64_t kSide = 16;  // quads beside a row that may be read and written
// A value with second bytes: they hold what the first ones round off. The frame is exact, so its
// second bytes hold a sixteenth of the first ones, and their weights what the weights round off.
constexpr int kFineSteps = 16;  // of a second byte, in one of the first
constexpr int kFineZero = 8;    // what 0 is in it

// What pack's base image adds to an output: the values of four pixels, times their weights.
struct Int8Base {
    int pair;   // 0: of the row above and this one, 1: of this one and the row below
    int color;  // of the frame
    int shift;  // -1: of the column to the left and this one, 0: of this one and the next
    std::int8_t weights[2][4];  // the second four are added to the first
};

// What turns sums into bytes of the frame.
struct Int8Pixels {
    const Int8Base* base = nullptr;      // of each output, or null
    const std::uint32_t* pairs[2] = {};  // planes that `neighbours` wrote
    std::int64_t pitch = 0;              // quads from plane to plane
    std::int32_t total = 0;              // of an output's weights
    bool twice = false;                  // some weights are above 127
    float unit = 0;
};

// One row of a convolution. With y = activation(scale * (weight * src + bias)):
//   dst = u8(y + zero)                                   where `values` and `pixels` are null
//   values = y + add, dst = u8(values * inverse_step + zero)               where `values` is not
//   dst = u8((y + add) * 255 + base * unit)                               where `pixels` is not
// u8() rounds half to even and clamps to [0, 255]. `add` may be null, and `dst` beside `values`.
// Where `rest` is not, for which `values` must be: rest = u8((max(y + zero, 0) - dst) * 16 + 8).
struct Int8Row {
    const std::uint32_t* const* src = nullptr;  // `size` rows: pixel 0 of the first plane of each
    std::int64_t src_pitch = 0;                 // quads from plane to plane
    int quads = 0;                              // planes
    int size = 0;                               // of the kernel

    const std::int8_t* weight = nullptr;   // packed by int8_weights
    const std::int32_t* bias = nullptr;    // these have one entry for each packed output
    const std::int32_t* offset = nullptr;  // 128 * sum of the weights, for signed dot products
    const float* scale = nullptr;
    const float* slope = nullptr;  // read for kPRelu only
    const float* zero = nullptr;   // not read for kRelu without `values`, where it is 0
    const float* inverse_step = nullptr;
    Activation activation = Activation::kNone;
    const int* channel = nullptr;  // the plane of `add` for each output
    int outputs = 0;               // stored, a multiple of 4

    std::uint32_t* dst = nullptr;
    std::uint32_t* rest = nullptr;
    std::int64_t dst_pitch = 0;  // quads from plane to plane
    float* values = nullptr;     // a plane of floats for each output
    const float* add = nullptr;  // laid out like values
    std::int64_t values_pitch = 0;
    const Int8Pixels* pixels = nullptr;

    std::int64_t w = 0;  // up to 15 pixels more are written
};

struct Int8Kernels {
    bool fast;  // has dot products of u8 and s8, so that int8 beats float32
    void (*conv)(const Int8Row& row);
    // w pixels of 3 x u8 -> one plane of quads, the fourth channel 0.
    void (*widen)(std::uint32_t* dst, const std::uint8_t* src, std::int64_t w);
    // Two rows of quads of the frame -> for each colour a plane of quads, pixel x of which holds
    // that colour of above[x], above[x + 1], below[x], below[x + 1]; x is -1 to w - 1, and the
    // rows' ends go on outside them.
    void (*neighbours)(std::uint32_t* dst, std::int64_t pitch, const std::uint32_t* above,
                       const std::uint32_t* below, std::int64_t w);
    // Planes of quads -> pixels of `bytes` bytes: of each pixel its first quad, then its second
    // one,
    // ...; what the last one has more is left out.
    void (*interleave)(std::uint8_t* dst, const std::uint32_t* src, std::int64_t pitch, int bytes,
                       std::int64_t w);
};

const Int8Kernels& portable_int8();
#if defined(SRSDK_AVX2)
const Int8Kernels& avx2_int8();
const Int8Kernels& avx_vnni_int8();
const Int8Kernels& avx512_vnni_int8();
#endif
#if defined(SRSDK_NEON)
const Int8Kernels& neon_int8();
const Int8Kernels& neon_dot_int8();
const Int8Kernels& neon_i8mm_int8();
#endif

}  // namespace srsdk::cpu
