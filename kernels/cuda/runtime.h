// The little of the CUDA runtime that the bindings need, without its headers.
#pragma once

#include "srsdk/cuda.h"

namespace srsdk::cuda {

// Work that is put on `stream` from now on waits for what is on `producer` now. Throws Error.
void wait_for(Stream stream, Stream producer);

// Makes a device the current one for a while; -1: leaves it to the caller. Throws Error.
class DeviceGuard {
 public:
    explicit DeviceGuard(int device);
    ~DeviceGuard();
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
    int before_ = -1;
};

}  // namespace srsdk::cuda
