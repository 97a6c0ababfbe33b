#include "memory.h"

#include <algorithm>

#include "check.h"
#include "runtime.h"

namespace srsdk::cuda {
namespace {

cudaStream_t native(Stream stream) { return static_cast<cudaStream_t>(stream); }

// Frees something on its device. Destructors must not throw: at the end of a process the runtime
// may be gone, and with it all memory.
template <typename Free>
void free_on(int device, const Free& free) {
    int current = 0;
    if (cudaGetDevice(&current) != cudaSuccess) return;
    if (current != device) cudaSetDevice(device);
    free();
    if (current != device) cudaSetDevice(current);
    cudaGetLastError();
}

}  // namespace

Memory::Memory(std::size_t bytes) : device_(current_device()) {
    check(cudaMalloc(&data_, std::max<std::size_t>(bytes, 1)), "device memory");
}
Memory::~Memory() {
    free_on(device_, [this] { cudaFree(data_); });
}

Pinned::Pinned(std::size_t bytes) : device_(current_device()) {
    check(cudaHostAlloc(&data_, std::max<std::size_t>(bytes, 1), cudaHostAllocPortable),
          "pinned host memory");
}
Pinned::~Pinned() {
    free_on(device_, [this] { cudaFreeHost(data_); });
}

OwnStream::OwnStream() : device_(current_device()) {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
    stream_ = stream;
}
OwnStream::~OwnStream() {
    free_on(device_, [this] { cudaStreamDestroy(native(stream_)); });
}

void synchronize(Stream stream) {
    check(cudaStreamSynchronize(native(stream)), "waiting for the GPU");
}

void upload(void* target, const void* source, std::size_t bytes, Stream stream) {
    check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, native(stream)),
          "copying to the GPU");
}

void download(void* target, const void* source, std::size_t bytes, Stream stream) {
    check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, native(stream)),
          "copying from the GPU");
}

void memory_info(std::size_t& free, std::size_t& total) {
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
}

std::string device_name(int device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "asking for the device's name");
    return properties.name;
}

int current_device() {
    int device = 0;
    check(cudaGetDevice(&device), "asking for the current device");
    return device;
}

void use_device(int device) { check(cudaSetDevice(device), "using a CUDA device"); }

}  // namespace srsdk::cuda
