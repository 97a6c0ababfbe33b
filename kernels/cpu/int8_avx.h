// What the int8 convolutions for AVX2 and AVX-VNNI share: eight pixels in a vector.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace srsdk::cpu {
namespace {

struct AvxVector {
    using Int = __m256i;
    using Float = __m256;
    static constexpr int kLanes = 8;
    static constexpr int kVectors = 3, kOutputs = 4;  // 12 of the 16 registers hold sums
    static constexpr bool kSigned = false;

    static Int load(const std::uint32_t* at) {
        return _mm256_loadu_si256(reinterpret_cast<const Int*>(at));
    }
    static Int splat(const std::int8_t* at) {
        std::int32_t four;
        __builtin_memcpy(&four, at, sizeof(four));
        return _mm256_set1_epi32(four);
    }
    static Int constant(std::int32_t value) { return _mm256_set1_epi32(value); }

    static Float to_float(Int value) { return _mm256_cvtepi32_ps(value); }
    static Int round(Float value) { return _mm256_cvtps_epi32(value); }
    static Float splat_real(float value) { return _mm256_set1_ps(value); }
    static Float load_real(const float* at) { return _mm256_loadu_ps(at); }
    static void store_real(float* at, Float value) { _mm256_storeu_ps(at, value); }
    static Float multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
    static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
    static Float larger(Float a, Float b) { return _mm256_max_ps(a, b); }
    static Float smaller(Float a, Float b) { return _mm256_min_ps(a, b); }
    static Float select_positive(Float y, Float otherwise) {
        return _mm256_blendv_ps(otherwise, y, _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ));
    }
    static void store_quads(std::uint32_t* at, const Int (&y)[4]) {
        const Int bytes =
            _mm256_packus_epi16(_mm256_packs_epi32(y[0], y[1]), _mm256_packs_epi32(y[2], y[3]));
        const Int order = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
        _mm256_storeu_si256(reinterpret_cast<Int*>(at), _mm256_shuffle_epi8(bytes, order));
    }
};

}  // namespace
}  // namespace srsdk::cpu
