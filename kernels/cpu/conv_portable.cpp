// Convolutions for Any CPU: few accumulators, since few registers are certain.
namespace srsdk::cpu {
namespace {
constexpr int kPanel = 2;
}
}  // namespace srsdk::cpu

#include "winograd_generic.h"

namespace srsdk::cpu {
namespace {
constexpr ConvKernels kConvs = {winograd, direct, planes, widen};
}

const ConvKernels& portable_convs() { return kConvs; }

}  // namespace srsdk::cpu
