// pixel_shuffle_prelu: bias + pixel shuffle + PReLU, the inside of a sub-pixel block.
#pragma once

#include "srsdk/views.h"

namespace srsdk::cpu {

// dst[n, c, y * r + i, x * r + j] = v > 0 ? v : v * slope[one_slope ? 0 : c] with
// v = src[n, m, y, x] + bias[m] (or without it, where bias is null), m = (c * r + i) * r + j;
// computed in float32, then rounded to float16 where dst is float16. One dtype for both; r is 1,
// 2, 3, 4 or 8; dst must not overlap src.
// `threads`: 0 = as many as the process may run on. Throws std::bad_alloc only.
void pixel_shuffle_prelu(const Planes& dst, const ConstPlanes& src, int r, const float* bias,
                         const float* slope, bool one_slope, int threads);

}  // namespace srsdk::cpu
