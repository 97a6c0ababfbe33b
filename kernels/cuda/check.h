// CUDA's status codes as exceptions.
#pragma once

#include <cuda_runtime_api.h>

namespace srsdk::cuda {

// Throws Error where `status` is one; `what` was being done.
void check(cudaError_t status, const char* what);

}  // namespace srsdk::cuda
