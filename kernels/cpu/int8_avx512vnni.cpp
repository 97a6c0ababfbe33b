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
};

}  // namespace
}  // namespace srsdk::cpu

#include "int8_generic.h"

namespace srsdk::cpu {
namespace {
constexpr Int8Kernels kInt8 = {true, conv, widen};
}

const Int8Kernels& avx512_vnni_int8() { return kInt8; }

}  // namespace srsdk::cpu
