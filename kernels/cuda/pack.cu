#include "launch.cuh"
#include "pack.h"

namespace srsdk::cuda {

void pack(const Frames& dst, const ConstTensor& x, int r, const cpu::BaseImage& base, bool swap,
          Stream stream) {
    pack_with(dst, x, r, base, swap, OnDevice{"pack", stream});
}

}  // namespace srsdk::cuda
