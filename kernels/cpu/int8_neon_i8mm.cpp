// Int8 convolutions for NEON's dot products of u8 and s8 (the i8mm extension).
#include "int8_arm.h"

namespace srsdk::cpu {
namespace {

struct V : NeonVector {
    static Int dot(Int sum, Int act, Int taps) {
        return vusdotq_s32(sum, vreinterpretq_u8_s32(act), vreinterpretq_s8_s32(taps));
    }
};

}  // namespace
}  // namespace srsdk::cpu

#include "int8_generic.h"

namespace srsdk::cpu {
namespace {
constexpr Int8Kernels kInt8 = {true, conv, widen, neighbours, interleave};
}

const Int8Kernels& neon_i8mm_int8() { return kInt8; }

}  // namespace srsdk::cpu
