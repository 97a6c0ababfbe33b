// Int8 convolutions for AVX2 without dot products of bytes: exact, but no faster than float32.
#include "int8_avx.h"

namespace srsdk::cpu {
namespace {

struct V : AvxVector {
    // In 16 bits, since vpmaddubsw would saturate: the even bytes, then the odd ones.
    static Int dot(Int sum, Int act, Int taps) {
        const Int even = _mm256_madd_epi16(_mm256_and_si256(act, _mm256_set1_epi16(255)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(taps, 8), 8));
        const Int odd = _mm256_madd_epi16(_mm256_srli_epi16(act, 8), _mm256_srai_epi16(taps, 8));
        return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
    }
};

}  // namespace
}  // namespace srsdk::cpu

#include "int8_generic.h"

namespace srsdk::cpu {
namespace {
constexpr Int8Kernels kInt8 = {false, conv, widen, neighbours, interleave};
}

const Int8Kernels& avx2_int8() { return kInt8; }

}  // namespace srsdk::cpu
