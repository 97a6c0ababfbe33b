// The binary interface of DLPack (dmlc/dlpack, dlpack.h), as far as a consumer needs it.
#pragma once

#include <cstdint>

namespace srsdk::cuda::dlpack {

enum DeviceType : std::int32_t { kCuda = 2, kCudaHost = 3, kCudaManaged = 13 };
enum TypeCode : std::uint8_t { kInt = 0, kUInt = 1, kFloat = 2 };
constexpr std::uint64_t kReadOnly = 1;  // of Versioned::flags
constexpr std::uint32_t kMajor = 1;

struct Tensor {
    void* data;
    std::int32_t device_type, device_id;
    std::int32_t ndim;
    std::uint8_t code, bits;
    std::uint16_t lanes;
    std::int64_t* shape;
    std::int64_t* strides;  // in elements; null: contiguous
    std::uint64_t byte_offset;
};

struct Managed {  // capsule "dltensor"
    Tensor tensor;
    void* context;
    void (*deleter)(Managed*);
};

struct Versioned {  // capsule "dltensor_versioned"
    std::uint32_t major, minor;
    void* context;
    void (*deleter)(Versioned*);
    std::uint64_t flags;
    Tensor tensor;
};

}  // namespace srsdk::cuda::dlpack
