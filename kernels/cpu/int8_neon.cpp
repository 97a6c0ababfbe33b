// Int8 convolutions for NEON without dot products: exact, but no faster than float32.
#include "int8_arm.h"

namespace srsdk::cpu {
namespace {

struct V : NeonVector {
    static Int dot(Int sum, Int act, Int taps) {
        const uint8x16_t a = vreinterpretq_u8_s32(act);
        const int16x4_t b = vget_low_s16(vmovl_s8(vget_low_s8(vreinterpretq_s8_s32(taps))));
        const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a)));
        const int16x8_t high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(a)));
        const int32x4_t first =
            vpaddq_s32(vmull_s16(vget_low_s16(low), b), vmull_s16(vget_high_s16(low), b));
        const int32x4_t second =
            vpaddq_s32(vmull_s16(vget_low_s16(high), b), vmull_s16(vget_high_s16(high), b));
        return vaddq_s32(sum, vpaddq_s32(first, second));
    }
};

}  // namespace
}  // namespace srsdk::cpu

#include "int8_generic.h"

namespace srsdk::cpu {
namespace {
constexpr Int8Kernels kInt8 = {false, conv, widen, neighbours, interleave};
}

const Int8Kernels& neon_int8() { return kInt8; }

}  // namespace srsdk::cpu
