// unpack: u8 HWC frames -> float CHW planes in [0, 1].
#pragma once

#include "srsdk/views.h"

namespace srsdk::cpu {

// dst[n, c, y, x] = src[n, y, x, swap_rb ? 2 - c : c] * float32(1 / 255), rounded to float16 after
// that where dst is float16. Any strides of src; dst must not overlap it.
// `threads`: 0 = as many as the process may run on. Throws std::bad_alloc only.
void unpack(const Planes& dst, const ConstFrames& src, bool swap_rb, int threads);

}  // namespace srsdk::cpu
