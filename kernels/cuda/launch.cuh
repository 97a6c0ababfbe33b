// Kernel bodies (portable.h) as kernels, and the only place that launches.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>

#include "check.h"
#include "portable.h"
#include "srsdk/cuda.h"

namespace srsdk::cuda {

template <int phase, typename Op>
__device__ __forceinline__ void run_from(const Op& op, const Block& block) {
    op.template run<phase>(block);
    if constexpr (phase + 1 < Op::kPhases) {
        __syncthreads();
        run_from<phase + 1>(op, block);
    }
}

// Blocks take turns where the grid is smaller than the work: grids are limited to 65535 along y
// and z.
template <typename Op>
__global__ void __launch_bounds__(Op::kThreads, 1)
    kernel(const __grid_constant__ Op op, Extent work) {
    extern __shared__ __align__(16) unsigned char shared[];
    Block block;
    block.thread = static_cast<int>(threadIdx.x);
    block.threads = static_cast<int>(blockDim.x);
    block.shared = shared;
    for (block.z = blockIdx.z; block.z < work.z; block.z += gridDim.z) {
        for (block.y = blockIdx.y; block.y < work.y; block.y += gridDim.y) {
            for (block.x = blockIdx.x; block.x < work.x; block.x += gridDim.x) {
                run_from<0>(op, block);
                if constexpr (Op::kPhases > 1) __syncthreads();  // before shared memory is reused
            }
        }
    }
}

// Launches on a stream.
struct OnDevice {
    const char* name;
    Stream stream;

    template <typename Op>
    void operator()(const Op& op, Extent work, int threads, int shared_bytes) const {
        const dim3 grid(
            static_cast<unsigned>(std::min<std::int64_t>(work.x, (std::int64_t{1} << 31) - 1)),
            static_cast<unsigned>(std::min<std::int64_t>(work.y, 65535)),
            static_cast<unsigned>(std::min<std::int64_t>(work.z, 65535)));
        void* arguments[] = {const_cast<Op*>(&op), &work};
        check(cudaLaunchKernel(reinterpret_cast<const void*>(&kernel<Op>), grid,
                               dim3(static_cast<unsigned>(threads)), arguments,
                               static_cast<std::size_t>(shared_bytes),
                               static_cast<cudaStream_t>(stream)),
              name);
    }
};

}  // namespace srsdk::cuda
