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
    static Int load_quads(const std::uint32_t* at) { return load(at); }
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
    static Float subtract(Float a, Float b) { return _mm256_sub_ps(a, b); }
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
    static void store_six(std::uint8_t* at, Int a, Int b) {
        const Int six = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1));
        const Int low = _mm256_shuffle_epi8(_mm256_unpacklo_epi32(a, b), six);
        const Int high = _mm256_shuffle_epi8(_mm256_unpackhi_epi32(a, b), six);
        // Twelve bytes in each half of both, and the first of each goes before the second.
        const Int first =
            _mm256_permutevar8x32_epi32(low, _mm256_setr_epi32(0, 1, 2, 0, 0, 0, 4, 5));
        const Int second =
            _mm256_permutevar8x32_epi32(high, _mm256_setr_epi32(0, 0, 0, 0, 1, 2, 0, 0));
        _mm256_storeu_si256(reinterpret_cast<Int*>(at), _mm256_blend_epi32(first, second, 0x38));
        const __m128i rest =
            _mm_alignr_epi8(_mm256_extracti128_si256(high, 1),
                            _mm_slli_si128(_mm256_extracti128_si256(low, 1), 4), 12);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(at + 32), rest);
    }
    static void store_twelve(std::uint8_t* at, Int first, Int second, Int third) {
        // Each element where it is wanted, in whichever of the three results.
        const Int a = _mm256_permutevar8x32_epi32(first, _mm256_setr_epi32(0, 3, 6, 1, 4, 7, 2, 5));
        const Int b =
            _mm256_permutevar8x32_epi32(second, _mm256_setr_epi32(5, 0, 3, 6, 1, 4, 7, 2));
        const Int c = _mm256_permutevar8x32_epi32(third, _mm256_setr_epi32(2, 5, 0, 3, 6, 1, 4, 7));
        Int* const out = reinterpret_cast<Int*>(at);
        _mm256_storeu_si256(out, _mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x92), c, 0x24));
        _mm256_storeu_si256(out + 1, _mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x24), c, 0x49));
        _mm256_storeu_si256(out + 2, _mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x49), c, 0x92));
    }
};

}  // namespace
}  // namespace srsdk::cpu
