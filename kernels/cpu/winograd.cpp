#include "winograd.h"

#include <algorithm>
#include <cstddef>

#include "conv.h"

namespace srsdk::cpu {
namespace {

// (6, size): values of the kernel's polynomial at the points, over the derivative there of the
// polynomial that has the points as its roots.
void kernel_transform(int size, double (&result)[kPatch][5]) {
    const double near = kNear, far = kFar, near2 = near * near, far2 = far * far;
    const double points[5] = {0, near, -near, far, -far};
    const double at_near = 2 * near2 * (near2 - far2), at_far = 2 * far2 * (far2 - near2);
    const double divisors[5] = {near2 * far2, at_near, at_near, at_far, at_far};
    for (int p = 0; p < 5; ++p) {
        double power = 1;
        for (int k = 0; k < size; ++k, power *= points[p]) result[p][k] = power / divisors[p];
    }
    for (int k = 0; k < size; ++k) result[5][k] = k == size - 1;
}

}  // namespace

std::vector<float> winograd_weights(const float* weight, int inputs, int size,
                                    const std::vector<int>& row, int channels) {
    double transform[kPatch][5];
    kernel_transform(size, transform);
    const int outputs = static_cast<int>(row.size());
    std::vector<float> packed(static_cast<std::size_t>(kPoints) * channels * outputs, 0.0f);
    for (int o = 0; o < outputs; ++o) {
        if (row[o] < 0) continue;
        for (int c = 0; c < inputs; ++c) {
            const float* taps = weight + (std::size_t{1} * row[o] * inputs + c) * size * size;
            double half[kPatch][5] = {};
            for (int p = 0; p < kPatch; ++p) {
                for (int x = 0; x < size; ++x) {
                    for (int y = 0; y < size; ++y) {
                        half[p][x] += transform[p][y] * double{taps[y * size + x]};
                    }
                }
            }
            const int first = c / kDepth * kDepth, depth = std::min(kDepth, channels - first);
            const std::size_t begin = std::size_t{1} * first * kPoints * outputs;
            for (int p = 0; p < kPatch; ++p) {
                for (int q = 0; q < kPatch; ++q) {
                    double sum = 0;
                    for (int x = 0; x < size; ++x) sum += transform[q][x] * half[p][x];
                    const std::size_t plane = std::size_t{1} * (o / kBlock) * kPoints +
                                              static_cast<std::size_t>(p * kPatch + q);
                    packed[begin + (plane * depth + (c - first)) * kBlock + o % kBlock] =
                        static_cast<float>(sum);
                }
            }
        }
    }
    return packed;
}

std::vector<float> direct_weights(const float* weight, int inputs, int size,
                                  const std::vector<int>& row, int channels) {
    const int outputs = static_cast<int>(row.size());
    std::vector<float> packed(static_cast<std::size_t>(size) * size * channels * outputs, 0.0f);
    for (int o = 0; o < outputs; ++o) {
        if (row[o] < 0) continue;
        for (int c = 0; c < inputs; ++c) {
            const float* taps = weight + (std::size_t{1} * row[o] * inputs + c) * size * size;
            for (int tap = 0; tap < size * size; ++tap) {
                const std::size_t at =
                    (std::size_t{1} * (o / kBlock) * size * size + static_cast<std::size_t>(tap)) *
                        channels +
                    static_cast<std::size_t>(c);
                packed[at * kBlock + o % kBlock] = taps[tap];
            }
        }
    }
    return packed;
}

}  // namespace srsdk::cpu
