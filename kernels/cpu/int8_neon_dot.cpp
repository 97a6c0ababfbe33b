// Int8 convolutions for NEON's dot products (Armv8.2), which multiply signed bytes by signed ones:
// activations are read as u8 - 128, and the sums begin with what that takes away.
#include "int8_arm.h"

namespace srsdk::cpu {
namespace {

struct V : NeonVector {
    static constexpr bool kSigned = true;

    static Int load(const std::uint32_t* at) {
        return vreinterpretq_s32_u32(veorq_u32(vld1q_u32(at), vdupq_n_u32(0x80808080u)));
    }
    static Int dot(Int sum, Int act, Int taps) {
        return vdotq_s32(sum, vreinterpretq_s8_s32(act), vreinterpretq_s8_s32(taps));
    }
};

}  // namespace
}  // namespace srsdk::cpu

#include "int8_generic.h"

namespace srsdk::cpu {
namespace {
constexpr Int8Kernels kInt8 = {true, conv, widen, neighbours, interleave};
}

const Int8Kernels& neon_dot_int8() { return kInt8; }

}  // namespace srsdk::cpu
