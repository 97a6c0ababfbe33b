#include "launch.cuh"
#include "pack.h"

namespace srsdk::cuda {

void pack(const Frames& dst, const ConstTensor& x, int r, const cpu::BaseImage& base, bool swap_rb,
          Stream stream) {
    pack_with(dst, x, r, base, swap_rb, OnDevice{"pack", stream});
}

}  // namespace srsdk::cuda
