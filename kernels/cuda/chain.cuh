// Launches of chain.h, one file a width so that they compile side by side.
#pragma once

#include <cuda_runtime.h>

#include "chain.h"
#include "check.h"

namespace srsdk::cuda {

template <int kPlanes>
__global__ void __launch_bounds__(Chain<kPlanes>::kThreads, 1)
    chain_kernel(const __grid_constant__ Segment segment) {
#if __CUDA_ARCH__ >= 800
    extern __shared__ __align__(128) unsigned char chain_shared[];
    const int thread = static_cast<int>(threadIdx.x);
    const Chain<kPlanes> chain{segment};
    chain.run({static_cast<int>(blockIdx.x), thread % 32, thread / 32,
               Chain<kPlanes>::kThreads / 32, chain_shared});
#endif
}

template <int kPlanes>
const void* chain_function() {
    return reinterpret_cast<const void*>(&chain_kernel<kPlanes>);
}

}  // namespace srsdk::cuda
