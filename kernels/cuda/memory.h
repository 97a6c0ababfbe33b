// Device memory, pinned host memory and streams: what the chain of srsdk.cuda needs of CUDA.
#pragma once

#include <cstddef>
#include <string>

#include "srsdk/cuda.h"

namespace srsdk::cuda {

// All of these belong to the device that is current when they are made, and go with their object,
// in whichever thread that is. Constructors throw Error.

class Memory {
 public:
    explicit Memory(std::size_t bytes);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    void* data() const { return data_; }

 private:
    void* data_ = nullptr;
    int device_ = 0;
};

// Host memory that the device copies from and to by itself.
class Pinned {
 public:
    explicit Pinned(std::size_t bytes);
    ~Pinned();
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;
    void* data() const { return data_; }

 private:
    void* data_ = nullptr;
    int device_ = 0;
};

// A stream that does not wait for the legacy default stream.
class OwnStream {
 public:
    OwnStream();
    ~OwnStream();
    OwnStream(const OwnStream&) = delete;
    OwnStream& operator=(const OwnStream&) = delete;
    Stream handle() const { return stream_; }

 private:
    Stream stream_ = nullptr;
    int device_ = 0;
};

// Throw Error. Copies are asynchronous where the host memory is pinned.
void synchronize(Stream stream);
void upload(void* target, const void* source, std::size_t bytes, Stream stream);
void download(void* target, const void* source, std::size_t bytes, Stream stream);
void memory_info(std::size_t& free, std::size_t& total);
std::string device_name(int device);
int current_device();
void use_device(int device);

}  // namespace srsdk::cuda
