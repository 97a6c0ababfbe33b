// IEEE half precision <-> single, in integers, for CPUs without instructions for it.
#pragma once

#include <cstdint>
#include <cstring>

namespace srsdk::cpu {

// Exact, subnormals, infinities and NaN included.
static inline float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    std::uint32_t bits = static_cast<std::uint32_t>(half & 0x7fffu) << 13;
    const std::uint32_t exponent = bits & (0x1fu << 23);
    bits += (127u - 15u) << 23;
    if (exponent == (0x1fu << 23)) bits += (128u - 16u) << 23;  // infinity or NaN
    float value;
    if (exponent == 0) {  // zero or subnormal: let a subtraction normalise it
        bits += 1u << 23;
        const std::uint32_t magic_bits = (127u - 14u) << 23;
        float magic;
        std::memcpy(&value, &bits, sizeof(value));
        std::memcpy(&magic, &magic_bits, sizeof(magic));
        value -= magic;
        std::memcpy(&bits, &value, sizeof(bits));
    }
    bits |= sign;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
}

// Round to nearest even. For 0 and values in the normal range of half only, as unpack makes them.
static inline std::uint16_t float_to_half(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    if (bits == 0) return 0;
    const std::uint32_t odd = (bits >> 13) & 1u;
    return static_cast<std::uint16_t>((bits - ((127u - 15u) << 23) + 0xfffu + odd) >> 13);
}

// Round to nearest even, any value; NaN stays NaN.
static inline std::uint16_t round_to_half(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    const std::uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    std::uint32_t half;
    if (bits > 0x7f800000u) {
        half = 0x7e00u;
    } else if (bits >= 0x47800000u) {  // 65536 and more
        half = 0x7c00u;
    } else if (bits < 0x38800000u) {  // zero or subnormal: let an addition shift and round
        const std::uint32_t magic_bits = (127u - 1u) << 23;  // 0.5: its last bit is a half's 2^-24
        float magnitude, magic;
        std::memcpy(&magnitude, &bits, sizeof(bits));
        std::memcpy(&magic, &magic_bits, sizeof(bits));
        magnitude += magic;
        std::memcpy(&half, &magnitude, sizeof(half));
        half -= magic_bits;
    } else {  // what rounds up to 65536 becomes infinity by itself
        half = (bits - ((127u - 15u) << 23) + 0xfffu + (bits >> 13 & 1u)) >> 13;
    }
    return static_cast<std::uint16_t>(sign | half);
}

}  // namespace srsdk::cpu
