// Convolutions for NEON: six rows of accumulators take 24 of the 32 registers.
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

const ConvKernels& neon_convs() { return kConvs; }

}  // namespace srsdk::cpu
