#include "launch.cuh"
#include "pixel_shuffle.h"

namespace srsdk::cuda {

void pixel_shuffle(const Tensor& dst, const ConstTensor& src, int r, Stream stream) {
    pixel_shuffle_with(dst, src, r, OnDevice{"pixel_shuffle", stream});
}

}  // namespace srsdk::cuda
