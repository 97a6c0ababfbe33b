// Row functions for any CPU.
#include "half.h"
#include "rows_generic.h"

namespace srsdk::cpu {
namespace {

constexpr int kBlock = 64;  // low-resolution pixels on the way from planes to pixels at a time

float widen(float value) { return value; }
float widen(std::uint16_t value) { return half_to_float(value); }

// Clamp to [0, 255], NaN to 0, and round half to even. Adding 2^23 leaves no bits for a fraction:
// the addition itself rounds, as the default rounding mode says, and the integer is in the low
// bits.
std::uint8_t quantise(float value) {
    const float positive = value > 0.0f ? value : 0.0f;
    const float rounded = (positive < 255.0f ? positive : 255.0f) + 8388608.0f;
    std::uint32_t bits;
    std::memcpy(&bits, &rounded, sizeof(bits));
    return static_cast<std::uint8_t>(bits);
}

template <int R, typename T>
void pack_row(const PackRow& given) {
    const PackRow row = given;  // a copy, that bytes stored through dst cannot change
    std::uint8_t planar[kBlock];
    const int weight_above = row.weight_above, weight_below = row.weight_below;
    for (std::int64_t x0 = 0; x0 < row.w; x0 += kBlock) {
        const int n = static_cast<int>(row.w - x0 < kBlock ? row.w - x0 : kBlock);
        for (int c = 0; c < 3; ++c) {
            for (int j = 0; j < R; ++j) {
                const char* plane =
                    static_cast<const char*>(row.x) + c * row.stride_c + j * row.stride_j;
                const T* SRSDK_RESTRICT x = reinterpret_cast<const T*>(plane) + x0;
                if (row.base) {
                    const std::int16_t* SRSDK_RESTRICT base =
                        row.base + 2 * ((c * R + j) * row.base_pitch + x0);
                    for (int t = 0; t < n; ++t) {
                        const int sum = base[2 * t] * weight_above + base[2 * t + 1] * weight_below;
                        planar[t] = quantise(widen(x[t]) * 255.0f +
                                             static_cast<float>(sum) * row.base_unit);
                    }
                } else {
                    for (int t = 0; t < n; ++t) planar[t] = quantise(widen(x[t]) * 255.0f);
                }
                std::uint8_t* SRSDK_RESTRICT dst = row.dst + 3 * (x0 * R + j) + c;
                for (int t = 0; t < n; ++t) dst[3 * R * t] = planar[t];
            }
        }
    }
}

void unpack_f16(std::uint16_t* const dst[3], const std::uint8_t* src, std::int64_t w) {
    struct Table {
        std::uint16_t half[256];
        Table() {
            for (int i = 0; i < 256; ++i) half[i] = float_to_half(static_cast<float>(i) * kUnit);
        }
    };
    static const Table table;
    for (int c = 0; c < 3; ++c) {
        std::uint16_t* SRSDK_RESTRICT out = dst[c];
        for (std::int64_t x = 0; x < w; ++x) out[x] = table.half[src[3 * x + c]];
    }
}

using Half = std::uint16_t;

constexpr Rows kRows = {
    unpack_f32_generic,
    unpack_f16,
    split_generic,
    base_generic,
    {pack_row<1, float>, pack_row<2, float>, pack_row<3, float>, pack_row<4, float>,
     pack_row<8, float>},
    {pack_row<1, Half>, pack_row<2, Half>, pack_row<3, Half>, pack_row<4, Half>, pack_row<8, Half>},
    {shuffle_generic<1, float>, shuffle_generic<2, float>, shuffle_generic<3, float>,
     shuffle_generic<4, float>, shuffle_generic<8, float>},
    {shuffle_generic<1, Half>, shuffle_generic<2, Half>, shuffle_generic<3, Half>,
     shuffle_generic<4, Half>, shuffle_generic<8, Half>},
    blend_generic,
};

}  // namespace

const Rows& portable_rows() { return kRows; }

}  // namespace srsdk::cpu
