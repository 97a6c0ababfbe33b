#include "blend.h"
#include "launch.cuh"

namespace srsdk::cuda {

void blend(const Frames& dst, const Face* faces, std::int64_t count, Stream stream) {
    blend_with(dst, faces, count, OnDevice{"blend", stream});
}

}  // namespace srsdk::cuda
