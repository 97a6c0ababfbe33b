// pack: pixel shuffle + base image + clamp + rounding + layout, float planes -> u8 HWC frames.
#pragma once

#include "srsdk/views.h"

namespace srsdk::cpu {

enum class Base : std::int32_t { kNone = 0, kNearest = 1, kBilinear = 2 };

// The image that the generator's output is a correction of: `lr` enlarged by `scale`
// (half-pixel centres, edges clamped), of which dst shows the part that begins at (top, left).
struct BaseImage {
    Base kind = Base::kNone;
    ConstFrames lr;
    int scale = 1;
    std::int64_t top = 0, left = 0;
};

constexpr int kMaxScale = 64;  // interpolation numerators stay within int16, see cpu/pack.cpp

// dst[n, y * r + i, x * r + j, c] = u8(x[n, (m * r + i) * r + j, y, x] * 255 + base[...]) with
// m = swap_rb ? 2 - c : c; u8() clamps to [0, 255] (NaN gives 0) and rounds half to even. `lr` has
// dst's channel order. r is 1, 2, 3, 4 or 8, and divides base.scale.
// dst: pixels contiguous within a row (stride_w 3, stride_c 1), rows apart as one likes; nothing
// outside (n, h * r, w * r, 3) is written; it must not overlap x or lr.
// `threads`: 0 = as many as the process may run on. Throws std::bad_alloc only.
void pack(const Frames& dst, const ConstPlanes& x, int r, const BaseImage& base, bool swap_rb,
          int threads);

}  // namespace srsdk::cpu
