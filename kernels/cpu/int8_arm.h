// What the int8 convolutions for NEON share: four pixels in a vector.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace srsdk::cpu {
namespace {

struct NeonVector {
    using Int = int32x4_t;
    using Float = float32x4_t;
    static constexpr int kLanes = 4;
    static constexpr int kVectors = 3, kOutputs = 8;  // 24 of the 32 registers hold sums
    static constexpr bool kSigned = false;

    static Int load(const std::uint32_t* at) { return vreinterpretq_s32_u32(vld1q_u32(at)); }
    static Int splat(const std::int8_t* at) {
        std::int32_t four;
        __builtin_memcpy(&four, at, sizeof(four));
        return vdupq_n_s32(four);
    }
    static Int constant(std::int32_t value) { return vdupq_n_s32(value); }

    static Float to_float(Int value) { return vcvtq_f32_s32(value); }
    static Int round(Float value) { return vcvtnq_s32_f32(value); }
    static Float splat_real(float value) { return vdupq_n_f32(value); }
    static Float load_real(const float* at) { return vld1q_f32(at); }
    static void store_real(float* at, Float value) { vst1q_f32(at, value); }
    static Float multiply(Float a, Float b) { return vmulq_f32(a, b); }
    static Float add(Float a, Float b) { return vaddq_f32(a, b); }
    static Float subtract(Float a, Float b) { return vsubq_f32(a, b); }
    static Float larger(Float a, Float b) { return vmaxq_f32(a, b); }
    static Float smaller(Float a, Float b) { return vminq_f32(a, b); }
    static Float select_positive(Float y, Float otherwise) {
        return vbslq_f32(vcgtq_f32(y, vdupq_n_f32(0)), y, otherwise);
    }
    static void store_quads(std::uint32_t* at, const Int (&y)[4]) {
        const int16x8_t low = vcombine_s16(vqmovn_s32(y[0]), vqmovn_s32(y[1]));
        const int16x8_t high = vcombine_s16(vqmovn_s32(y[2]), vqmovn_s32(y[3]));
        const uint8x16_t bytes = vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
        const uint8x16_t order = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
        vst1q_u32(at, vreinterpretq_u32_u8(vqtbl1q_u8(bytes, order)));
    }
    static Int load_quads(const std::uint32_t* at) { return vreinterpretq_s32_u32(vld1q_u32(at)); }
    static void store_six(std::uint8_t* at, Int a, Int b) {
        const uint8x16x2_t both = {{vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)}};
        const uint8x16_t first = {0, 1, 2, 3, 16, 17, 4, 5, 6, 7, 20, 21, 8, 9, 10, 11};
        const uint8x8_t rest = {24, 25, 12, 13, 14, 15, 28, 29};
        vst1q_u8(at, vqtbl2q_u8(both, first));
        vst1_u8(at + 16, vqtbl2_u8(both, rest));
    }
    static void store_twelve(std::uint8_t* at, Int a, Int b, Int c) {
        vst3q_s32(reinterpret_cast<std::int32_t*>(at), {{a, b, c}});
    }
};

}  // namespace
}  // namespace srsdk::cpu
