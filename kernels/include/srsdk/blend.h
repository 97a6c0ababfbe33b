// blend: lay a feathered patch over a rectangle of a frame, in place.
#pragma once

#include "srsdk/views.h"

namespace srsdk::cpu {

// For the pixels of dst inside [top, top + patch.h) x [left, left + patch.w):
//   weight = (weight_y[y] * weight_x[x] + 128) >> 8
//   dst = (dst * (256 - weight) + patch * weight + 128) >> 8
// Weights are in 0..256. The patch may stick out of dst, or miss it. dst and patch hold one image
// each; dst's pixels are contiguous within a row; they must not overlap.
// `threads`: 0 = as many as the process may run on. Throws std::bad_alloc only.
void blend(const Frames& dst, const ConstFrames& patch, std::int64_t top, std::int64_t left,
           const std::uint16_t* weight_y, const std::uint16_t* weight_x, int threads);

}  // namespace srsdk::cpu
