// Convolutions for AVX2 with fused multiply-add: six rows of accumulators take 12 of the 16
// registers.
namespace srsdk::cpu {
namespace {
constexpr int kPanel = 6;
}
}  // namespace srsdk::cpu

#include "winograd_generic.h"

namespace srsdk::cpu {
namespace {
constexpr ConvKernels kConvs = {winograd, direct, planes, widen};
}

const ConvKernels& avx2_convs() { return kConvs; }

}  // namespace srsdk::cpu
