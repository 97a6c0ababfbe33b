// Convolutions for AVX-512: a block of outputs is one vector, twelve rows of them hide the latency.
namespace srsdk::cpu {
namespace {
constexpr int kPanel = 12;
}
}  // namespace srsdk::cpu

#include "winograd_generic.h"

namespace srsdk::cpu {
namespace {
constexpr ConvKernels kConvs = {winograd, direct, planes, widen};
}

const ConvKernels& avx512_convs() { return kConvs; }

}  // namespace srsdk::cpu
