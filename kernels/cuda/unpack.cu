#include "launch.cuh"
#include "unpack.h"

namespace srsdk::cuda {

void unpack(const Tensor& dst, const ConstFrames& src, bool swap_rb, float scale, Stream stream) {
    unpack_with(dst, src, swap_rb, scale, OnDevice{"unpack", stream});
}

}  // namespace srsdk::cuda
