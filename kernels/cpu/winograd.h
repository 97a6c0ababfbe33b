// Winograd's minimal filtering on patches of 6 x 6: its points, and weights packed for the kernels.
//
// The points are 0, +-11/16, +-11/8 and infinity. Those of the textbook, 0, +-1, +-2, need no
// multiplications in places, which fused multiply-adds make worthless, and round twice as badly.
#pragma once

#include <vector>

namespace srsdk::cpu {

constexpr float kNear = 0.6875f, kFar = 1.375f;  // few bits: their powers are exact
constexpr float kNear2 = kNear * kNear, kFar2 = kFar * kFar;
constexpr float kNear3 = kNear2 * kNear, kFar3 = kFar2 * kFar;

// `weight` is (outputs, inputs, size, size), size 3 or 5; the rows of it that row[o] names become
// output o, -1 giving zeros. `channels` >= inputs is the tensor's channel count.
// Result: (depths, outputs / 16, 36, depth, 16), the last depth being what is left of channels.
std::vector<float> winograd_weights(const float* weight, int inputs, int size,
                                    const std::vector<int>& row, int channels);

// The same for the plain sum: (outputs / 16, size, size * channels, 16).
std::vector<float> direct_weights(const float* weight, int inputs, int size,
                                  const std::vector<int>& row, int channels);

}  // namespace srsdk::cpu
