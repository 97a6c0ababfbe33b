// Int8 convolutions for AVX-VNNI, the dot products of laptops and desktops.
#include "int8_avx.h"

namespace srsdk::cpu {
namespace {

struct V : AvxVector {
    static Int dot(Int sum, Int act, Int taps) { return _mm256_dpbusd_avx_epi32(sum, act, taps); }
};

}  // namespace
}  // namespace srsdk::cpu

#include "int8_generic.h"

namespace srsdk::cpu {
namespace {
constexpr Int8Kernels kInt8 = {true, conv, widen, neighbours, interleave};
}

const Int8Kernels& avx_vnni_int8() { return kInt8; }

}  // namespace srsdk::cpu
