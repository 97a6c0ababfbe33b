// Memory as the launchers see it: raw pointers, sizes, strides. Nothing here owns anything.
//
// All strides are in bytes and may be negative. The structs are plain data, so that they can be
// passed to a CUDA kernel by value as well.
#pragma once

#include <cstdint>
#include <type_traits>

namespace srsdk {

enum class DType : std::int32_t { kFloat32 = 0, kFloat16 = 1 };

constexpr std::int64_t itemsize(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

// n interleaved images of 3 x u8: (n, h, w, 3).
template <typename Byte>
struct BasicFrames {
    static_assert(std::is_same_v<std::remove_const_t<Byte>, std::uint8_t>);
    Byte* data = nullptr;
    std::int64_t n = 0, h = 0, w = 0;
    std::int64_t stride_n = 0, stride_h = 0, stride_w = 3, stride_c = 1;
};
using Frames = BasicFrames<std::uint8_t>;
using ConstFrames = BasicFrames<const std::uint8_t>;

// n planar tensors of float32 or float16: (n, c, h, w), contiguous along w.
template <typename Void>
struct BasicPlanes {
    static_assert(std::is_void_v<Void>);
    Void* data = nullptr;
    DType dtype = DType::kFloat32;
    std::int64_t n = 0, c = 0, h = 0, w = 0;
    std::int64_t stride_n = 0, stride_c = 0, stride_h = 0;
};
using Planes = BasicPlanes<void>;
using ConstPlanes = BasicPlanes<const void>;

// Address `bytes` behind `p`, keeping its type and constness.
template <typename T>
inline T* advance(T* p, std::int64_t bytes) {
    using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
    return reinterpret_cast<T*>(reinterpret_cast<Byte*>(p) + bytes);
}
inline void* advance(void* p, std::int64_t bytes) { return static_cast<char*>(p) + bytes; }
inline const void* advance(const void* p, std::int64_t bytes) {
    return static_cast<const char*>(p) + bytes;
}

}  // namespace srsdk
