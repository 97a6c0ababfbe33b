// The inner loops: one image row at a time, one table of them for each instruction set.
//
// The launchers (unpack.cpp, pack.cpp, ...) walk images, split work and hold scratch memory; what
// is worth vector code is behind these pointers. Rows are contiguous; strides are in bytes. Every
// table gives the same bits, those of srsdk/reference.py.
#pragma once

#include <cstdint>

namespace srsdk::cpu {

// Elements that a row function may read or write behind the end of a scratch row.
constexpr std::int64_t kPadding = 32;

// Row functions are chosen by the shuffle factor r in {1, 2, 3, 4, 8}.
constexpr int kFactors = 5;
constexpr int factor_index(int r) { return r == 8 ? 4 : r - 1; }

// One output row of pack: 3 * r planes at low resolution -> r * w pixels.
struct PackRow {
    std::uint8_t* dst;
    const void* x;          // plane of dst's channel 0 and column phase 0, at this row
    std::int64_t stride_c;  // from a dst channel's planes to the next one's; negative if reversed
    std::int64_t stride_j;  // from a column phase's plane to the next one's
    std::int64_t w;         // low-resolution pixels
    const std::int16_t* base;  // (3, r, base_pitch, 2), or null: values of the rows above and below
    std::int64_t base_pitch;   // pairs in a base row, at least w + kPadding
    std::int16_t weight_above, weight_below;
    float base_unit;  // base = (above * weight_above + below * weight_below) * base_unit
};

// One output row of pixel_shuffle: r planes -> r * w elements.
struct ShuffleRow {
    void* dst;
    const void* x;
    std::int64_t stride_j;
    std::int64_t w;
};

// One row of blend, all spans 3 * w long.
struct BlendRow {
    std::uint8_t* dst;
    const std::uint8_t* patch;
    const std::uint16_t* weight_x;  // each weight three times
    std::uint16_t weight_y;
    std::int64_t w;
};

// The horizontal half of pack's base: for t in [0, n), step k = `step`,
//   out[2 * k * t]     = above[t] * left + above[t + 1] * right
//   out[2 * k * t + 1] = below[t] * left + below[t + 1] * right
struct BaseRow {
    std::int16_t* out;
    const std::int16_t *above, *below;
    std::int64_t n, step;
    std::int16_t left, right;
};

struct Rows {
    // w pixels of 3 x u8 -> three float rows (dst[c] for c in the source's order).
    void (*unpack_f32)(float* const dst[3], const std::uint8_t* src, std::int64_t w);
    void (*unpack_f16)(std::uint16_t* const dst[3], const std::uint8_t* src, std::int64_t w);
    // w pixels of 3 x u8 -> three rows of integers.
    void (*split)(std::int16_t* const dst[3], const std::uint8_t* src, std::int64_t w);
    void (*base)(const BaseRow& row);
    void (*pack_f32[kFactors])(const PackRow& row);
    void (*pack_f16[kFactors])(const PackRow& row);
    void (*shuffle_f32[kFactors])(const ShuffleRow& row);
    void (*shuffle_f16[kFactors])(const ShuffleRow& row);
    void (*blend)(const BlendRow& row);
};

const Rows& portable_rows();
#if defined(SRSDK_AVX2)
const Rows& avx2_rows();
#endif
#if defined(SRSDK_NEON)
const Rows& neon_rows();
#endif

// The table in use.
const Rows& rows();

}  // namespace srsdk::cpu
