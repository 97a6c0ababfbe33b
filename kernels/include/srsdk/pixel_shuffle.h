// pixel_shuffle: (c * r * r, h, w) -> (c, h * r, w * r), channels as torch orders them.
#pragma once

#include "srsdk/views.h"

namespace srsdk::cpu {

// dst[n, c, y * r + i, x * r + j] = src[n, (c * r + i) * r + j, y, x]. One dtype for both;
// r is 1, 2, 3, 4 or 8; dst must not overlap src.
// `threads`: 0 = as many as the process may run on. Throws std::bad_alloc only.
void pixel_shuffle(const Planes& dst, const ConstPlanes& src, int r, int threads);

}  // namespace srsdk::cpu
