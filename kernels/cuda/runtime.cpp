#include "runtime.h"

#include <string>

#include "check.h"

namespace srsdk::cuda {

void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // or the next call would report it again
    std::string message = std::string(what) + ": " + cudaGetErrorString(status);
    if (status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver) {
        message += " (no CUDA device or no driver for it)";
    } else if (status == cudaErrorNoKernelImageForDevice) {
        message += " (srsdk was built for other GPUs: rebuild it with -DSRSDK_CUDA_ARCHITECTURES)";
    }
    throw Error(message);
}

void wait_for(Stream stream, Stream producer) {
    constexpr const char* kWhat = "waiting for the stream of an array";
    cudaEvent_t event;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), kWhat);
    cudaError_t status = cudaEventRecord(event, static_cast<cudaStream_t>(producer));
    if (status == cudaSuccess) {
        status = cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), event, 0);
    }
    cudaEventDestroy(event);  // by the driver, once the event has happened
    check(status, kWhat);
}

DeviceGuard::DeviceGuard(int device) {
    if (device < 0) return;
    int current = 0;
    check(cudaGetDevice(&current), "asking for the current device");
    if (current == device) return;
    check(cudaSetDevice(device), "changing to the device of an array");
    before_ = current;
}

DeviceGuard::~DeviceGuard() {
    if (before_ >= 0) cudaSetDevice(before_);
}

}  // namespace srsdk::cuda
