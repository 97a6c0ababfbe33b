// Row functions in plain C++, simple enough for the compiler to vectorise.
//
// Included by every rows_*.cpp, each compiled for another instruction set: all is `static` on
// purpose, since an inline function would be merged across them by the linker, and code for AVX2
// could end up in the portable path.
#pragma once

#include <cstdint>
#include <cstring>

#include "rows.h"

#if defined(_MSC_VER)
#define SRSDK_RESTRICT __restrict
#define SRSDK_UNUSED
#else
#define SRSDK_RESTRICT __restrict__
#define SRSDK_UNUSED __attribute__((unused))
#endif

namespace srsdk::cpu {

constexpr float kUnit = static_cast<float>(1.0 / 255.0);

SRSDK_UNUSED static void unpack_f32_generic(float* const dst[3], const std::uint8_t* src,
                                            std::int64_t w) {
    float* SRSDK_RESTRICT a = dst[0];
    float* SRSDK_RESTRICT b = dst[1];
    float* SRSDK_RESTRICT c = dst[2];
    for (std::int64_t x = 0; x < w; ++x) {
        a[x] = static_cast<float>(src[3 * x]) * kUnit;
        b[x] = static_cast<float>(src[3 * x + 1]) * kUnit;
        c[x] = static_cast<float>(src[3 * x + 2]) * kUnit;
    }
}

SRSDK_UNUSED static void split_generic(std::int16_t* const dst[3], const std::uint8_t* src,
                                       std::int64_t w) {
    std::int16_t* SRSDK_RESTRICT a = dst[0];
    std::int16_t* SRSDK_RESTRICT b = dst[1];
    std::int16_t* SRSDK_RESTRICT c = dst[2];
    for (std::int64_t x = 0; x < w; ++x) {
        a[x] = src[3 * x];
        b[x] = src[3 * x + 1];
        c[x] = src[3 * x + 2];
    }
}

SRSDK_UNUSED static void base_generic(const BaseRow& row) {
    std::int16_t* SRSDK_RESTRICT out = row.out;
    const std::int16_t* SRSDK_RESTRICT above = row.above;
    const std::int16_t* SRSDK_RESTRICT below = row.below;
    const int left = row.left, right = row.right;
    const std::int64_t n = row.n, step = row.step;
    if (step == 1) {
        for (std::int64_t t = 0; t < n; ++t) {
            out[2 * t] = static_cast<std::int16_t>(above[t] * left + above[t + 1] * right);
            out[2 * t + 1] = static_cast<std::int16_t>(below[t] * left + below[t + 1] * right);
        }
        return;
    }
    for (std::int64_t t = 0; t < n; ++t) {
        out[2 * step * t] = static_cast<std::int16_t>(above[t] * left + above[t + 1] * right);
        out[2 * step * t + 1] = static_cast<std::int16_t>(below[t] * left + below[t + 1] * right);
    }
}

template <int R, typename T>
static void shuffle_generic(const ShuffleRow& row) {
    T* SRSDK_RESTRICT dst = static_cast<T*>(row.dst);
    const T* plane[R];
    for (int j = 0; j < R; ++j) {
        plane[j] = reinterpret_cast<const T*>(static_cast<const char*>(row.x) + j * row.stride_j);
    }
    const std::int64_t w = row.w;
    for (std::int64_t x = 0; x < w; ++x) {
        for (int j = 0; j < R; ++j) dst[x * R + j] = plane[j][x];
    }
}

SRSDK_UNUSED static void blend_generic(const BlendRow& row) {
    std::uint8_t* SRSDK_RESTRICT dst = row.dst;
    const std::uint8_t* SRSDK_RESTRICT patch = row.patch;
    const std::uint16_t* SRSDK_RESTRICT weight_x = row.weight_x;
    const std::uint32_t weight_y = row.weight_y;
    const std::int64_t size = 3 * row.w;  // read once: a byte stored might change row, for all C++
    for (std::int64_t x = 0; x < size; ++x) {
        // At most 255 * 256 + 128: the sum fits 16 bits, as the product of the weights does not.
        const auto weight = static_cast<std::uint16_t>((weight_y * weight_x[x] + 128u) >> 8);
        const auto rest = static_cast<std::uint16_t>(256 - weight);
        const auto sum = static_cast<std::uint16_t>(dst[x] * rest + patch[x] * weight + 128);
        dst[x] = static_cast<std::uint8_t>(sum >> 8);
    }
}

}  // namespace srsdk::cpu
