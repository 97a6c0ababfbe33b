#include "launch.cuh"
#include "pixel_shuffle.h"

namespace srsdk::cuda {

void pixel_shuffle_prelu(const Tensor& dst, const ConstTensor& src, int r, const PReLU& prelu,
                         Stream stream) {
    pixel_shuffle_prelu_with(dst, src, r, prelu, OnDevice{"pixel_shuffle_prelu", stream});
}

}  // namespace srsdk::cuda
