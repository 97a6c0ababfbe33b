// Row functions for 64-bit ARM, where NEON and half-precision conversion are always there.
#include <arm_neon.h>

#include "rows_generic.h"

namespace srsdk::cpu {
namespace {

using Half = std::uint16_t;

// ---- unpack and split

inline void store_unit(float* dst, float32x4_t low, float32x4_t high) {
    vst1q_f32(dst, low);
    vst1q_f32(dst + 4, high);
}
inline void store_unit(Half* dst, float32x4_t low, float32x4_t high) {
    const float16x8_t half = vcombine_f16(vcvt_f16_f32(low), vcvt_f16_f32(high));
    vst1q_u16(dst, vreinterpretq_u16_f16(half));
}

template <typename T>
inline void store_plane(T* dst, uint8x8_t bytes) {
    const uint16x8_t wide = vmovl_u8(bytes);
    const float32x4_t low = vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
    const float32x4_t high = vcvtq_f32_u32(vmovl_u16(vget_high_u16(wide)));
    store_unit(dst, vmulq_n_f32(low, kUnit), vmulq_n_f32(high, kUnit));
}

template <typename T>
void unpack(T* const dst[3], const std::uint8_t* src, std::int64_t w) {
    std::int64_t x = 0;
    for (; x + 8 <= w; x += 8) {
        const uint8x8x3_t pixels = vld3_u8(src + 3 * x);
        for (int c = 0; c < 3; ++c) store_plane(dst[c] + x, pixels.val[c]);
    }
    if (x == w) return;
    const std::size_t rest = static_cast<std::size_t>(w - x);
    std::uint8_t part[24] = {};
    T plane[8];
    std::memcpy(part, src + 3 * x, 3 * rest);
    const uint8x8x3_t pixels = vld3_u8(part);
    for (int c = 0; c < 3; ++c) {
        store_plane(plane, pixels.val[c]);
        std::memcpy(dst[c] + x, plane, rest * sizeof(T));
    }
}

// ---- pack

struct Eight {
    float32x4_t low, high;
};

inline Eight load8(const float* x) { return {vld1q_f32(x), vld1q_f32(x + 4)}; }
inline Eight load8(const Half* x) {
    const float16x8_t half = vreinterpretq_f16_u16(vld1q_u16(x));
    return {vcvt_f32_f16(vget_low_f16(half)), vcvt_f32_f16(vget_high_f16(half))};
}

template <bool kBase>
inline float32x4_t with_base(float32x4_t x, int16x4_t above, int16x4_t below, const PackRow& row) {
    const float32x4_t value = vmulq_n_f32(x, 255.0f);
    if (!kBase) return value;
    const int32x4_t sum =
        vmlal_n_s16(vmull_n_s16(above, row.weight_above), below, row.weight_below);
    return vaddq_f32(value, vmulq_n_f32(vcvtq_f32_s32(sum), row.base_unit));
}

// The conversion rounds half to even, saturates, and makes 0 of NaN; narrowing clamps the rest.
template <bool kBase>
inline uint8x8_t quantise(const Eight& x, const std::int16_t* base, const PackRow& row) {
    const int16x8x2_t pairs = kBase ? vld2q_s16(base) : int16x8x2_t{};
    const int16x8_t above = pairs.val[0], below = pairs.val[1];
    const int32x4_t low =
        vcvtnq_s32_f32(with_base<kBase>(x.low, vget_low_s16(above), vget_low_s16(below), row));
    const int32x4_t high =
        vcvtnq_s32_f32(with_base<kBase>(x.high, vget_high_s16(above), vget_high_s16(below), row));
    return vqmovun_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high)));
}

// 8 low-resolution pixels of each column phase -> 8 * R pixels of one channel.
template <int R>
inline void join_phases(const uint8x8_t q[R], std::uint8_t* planar) {
    if constexpr (R == 1) {
        vst1_u8(planar, q[0]);
    } else if constexpr (R == 2) {
        vst2_u8(planar, {{q[0], q[1]}});
    } else if constexpr (R == 3) {
        vst3_u8(planar, {{q[0], q[1], q[2]}});
    } else if constexpr (R == 4) {
        vst4_u8(planar, {{q[0], q[1], q[2], q[3]}});
    } else {
        uint8x16x4_t turns;  // j and j + 4 in turn; storing four of these in turn orders them all
        for (int j = 0; j < 4; ++j) {
            turns.val[j] = vcombine_u8(vzip1_u8(q[j], q[j + 4]), vzip2_u8(q[j], q[j + 4]));
        }
        vst4q_u8(planar, turns);
    }
}

template <int R, bool kBase, typename T>
inline void pack_step(const PackRow& row, std::int64_t x, std::int64_t columns, std::uint8_t* dst) {
    std::uint8_t planar[3][8 * R];
    for (int c = 0; c < 3; ++c) {
        uint8x8_t q[R];
        for (int j = 0; j < R; ++j) {
            const T* plane = reinterpret_cast<const T*>(static_cast<const char*>(row.x) +
                                                        c * row.stride_c + j * row.stride_j) +
                             x;
            T part[8] = {};
            if (columns < 8) {
                std::memcpy(part, plane, static_cast<std::size_t>(columns) * sizeof(T));
                plane = part;
            }
            const std::int16_t* base =
                kBase ? row.base + 2 * ((c * R + j) * row.base_pitch + x) : nullptr;
            q[j] = quantise<kBase>(load8(plane), base, row);
        }
        join_phases<R>(q, planar[c]);
    }
    for (int k = 0; k < R; ++k) {
        vst3_u8(dst + 24 * k, {{vld1_u8(planar[0] + 8 * k), vld1_u8(planar[1] + 8 * k),
                                vld1_u8(planar[2] + 8 * k)}});
    }
}

template <int R, bool kBase, typename T>
void pack_span(const PackRow row) {  // a copy, that bytes stored through dst cannot change
    std::int64_t x = 0;
    for (; x + 8 <= row.w; x += 8) pack_step<R, kBase, T>(row, x, 8, row.dst + 3 * R * x);
    if (x == row.w) return;
    std::uint8_t pixels[24 * R];
    pack_step<R, kBase, T>(row, x, row.w - x, pixels);
    std::memcpy(row.dst + 3 * R * x, pixels, static_cast<std::size_t>(3 * R * (row.w - x)));
}

template <int R, typename T>
void pack_row(const PackRow& row) {
    if (row.base) {
        pack_span<R, true, T>(row);
    } else {
        pack_span<R, false, T>(row);
    }
}

constexpr Rows kRows = {
    unpack<float>,
    unpack<Half>,
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

const Rows& neon_rows() { return kRows; }

}  // namespace srsdk::cpu
