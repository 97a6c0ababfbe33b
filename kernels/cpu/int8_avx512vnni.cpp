// Int8 convolutions for AVX512-VNNI: 24 of the 32 registers hold sums.
#include <immintrin.h>

#include <cstdint>

namespace srsdk::cpu {
namespace {

struct V {
    using Int = __m512i;
    using Float = __m512;
    static constexpr int kLanes = 16, kVectors = 3, kOutputs = 8;
    static constexpr bool kSigned = false;

    static Int load(const std::uint32_t* at) { return _mm512_loadu_si512(at); }
    static Int load_quads(const std::uint32_t* at) { return load(at); }
    static Int splat(const std::int8_t* at) {
        std::int32_t four;
        __builtin_memcpy(&four, at, sizeof(four));
        return _mm512_set1_epi32(four);
    }
    static Int constant(std::int32_t value) { return _mm512_set1_epi32(value); }
    static Int dot(Int sum, Int act, Int taps) { return _mm512_dpbusd_epi32(sum, act, taps); }

    static Float to_float(Int value) { return _mm512_cvtepi32_ps(value); }
    static Int round(Float value) { return _mm512_cvtps_epi32(value); }
    static Float splat_real(float value) { return _mm512_set1_ps(value); }
    static Float load_real(const float* at) { return _mm512_loadu_ps(at); }
    static void store_real(float* at, Float value) { _mm512_storeu_ps(at, value); }
    static Float multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
    static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
    static Float subtract(Float a, Float b) { return _mm512_sub_ps(a, b); }
    static Float larger(Float a, Float b) { return _mm512_max_ps(a, b); }
    static Float smaller(Float a, Float b) { return _mm512_min_ps(a, b); }
    static Float select_positive(Float y, Float otherwise) {
        return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ),
                                    otherwise, y);
    }
    static void store_quads(std::uint32_t* at, const Int (&y)[4]) {
        const Int bytes =
            _mm512_packus_epi16(_mm512_packs_epi32(y[0], y[1]), _mm512_packs_epi32(y[2], y[3]));
        const Int order = _mm512_broadcast_i32x4(
            _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
        _mm512_storeu_si512(at, _mm512_shuffle_epi8(bytes, order));
    }
    static void store_six(std::uint8_t* at, Int a, Int b) {
        const Int six = _mm512_broadcast_i32x4(
            _mm_setr_epi8(0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1));
        const Int low = _mm512_shuffle_epi8(_mm512_unpacklo_epi32(a, b), six);
        const Int high = _mm512_shuffle_epi8(_mm512_unpackhi_epi32(a, b), six);
        const auto in_turn = [&](Int order) { return _mm512_permutex2var_epi32(low, order, high); };
        _mm512_storeu_si512(
            at, in_turn(_mm512_setr_epi32(0, 1, 2, 16, 17, 18, 4, 5, 6, 20, 21, 22, 8, 9, 10, 24)));
        const Int rest =
            in_turn(_mm512_setr_epi32(25, 26, 12, 13, 14, 28, 29, 30, 0, 0, 0, 0, 0, 0, 0, 0));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(at + 64), _mm512_castsi512_si256(rest));
    }
    static void store_twelve(std::uint8_t* at, Int a, Int b, Int c) {
        const auto in_turn = [&](__mmask16 third_ones, Int a_and_b, Int of_c) {
            return _mm512_mask_permutexvar_epi32(_mm512_permutex2var_epi32(a, a_and_b, b),
                                                 third_ones, of_c, c);
        };
        // From 16 on: elements of b. Those that c takes are named by the mask.
        const Int first_16 =
            in_turn(0x4924, _mm512_setr_epi32(0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5),
                    _mm512_setr_epi32(0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0));
        const Int next_16 = in_turn(
            0x2492, _mm512_setr_epi32(21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26),
            _mm512_setr_epi32(0, 5, 0, 0, 6, 0, 0, 7, 0, 0, 8, 0, 0, 9, 0, 0));
        const Int last_16 = in_turn(
            0x9249, _mm512_setr_epi32(0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0),
            _mm512_setr_epi32(10, 0, 0, 11, 0, 0, 12, 0, 0, 13, 0, 0, 14, 0, 0, 15));
        _mm512_storeu_si512(at, first_16);
        _mm512_storeu_si512(at + 64, next_16);
        _mm512_storeu_si512(at + 128, last_16);
    }
};

}  // namespace
}  // namespace srsdk::cpu

#include "int8_generic.h"

namespace srsdk::cpu {
namespace {
constexpr Int8Kernels kInt8 = {true, conv, widen, neighbours, interleave};
}

const Int8Kernels& avx512_vnni_int8() { return kInt8; }

}  // namespace srsdk::cpu
