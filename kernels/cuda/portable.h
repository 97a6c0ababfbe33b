// What kernel bodies are written in: C++ that nvcc compiles for the device and any compiler for the
// host, so that the tests run the very same code without a GPU (on_host.h).
//
// A kernel is a struct, passed by value: its members are the arguments, and
//     template <int phase> void run(const Block& block) const
// is what one thread of one block does in each of its kPhases phases. All threads of a block finish
// a phase before any begins the next (__syncthreads on the device); shared memory is how phases
// talk.
#pragma once

#include <cstdint>
#include <cstring>

#include "srsdk/views.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#define SRSDK_HD __host__ __device__ __forceinline__
#define SRSDK_UNROLL _Pragma("unroll")
#define SRSDK_ROLLED _Pragma("unroll 1")
#else
#define SRSDK_HD inline
#define SRSDK_UNROLL
#define SRSDK_ROLLED
#endif

#if !defined(__CUDA_ARCH__)
#include "../cpu/half.h"
#endif

namespace srsdk::cuda {

using Half = std::uint16_t;  // the bits of a float16

struct Extent {
    std::int64_t x = 1, y = 1, z = 1;
};

// Where a thread stands.
struct Block {
    std::int64_t x, y, z;
    int thread, threads;
    unsigned char* shared;  // aligned to 16 bytes
};

constexpr int kMaxThreads = 256;
constexpr int kMaxShared = 48 << 10;  // bytes that every device grants without being asked

template <typename T>
SRSDK_HD T smaller(T a, T b) {
    return b < a ? b : a;
}
template <typename T>
SRSDK_HD T larger(T a, T b) {
    return a < b ? b : a;
}

// a / b for a >= 0, b > 0. Division of 64 bits costs a GPU some 100 instructions, and is hardly
// ever needed.
SRSDK_HD std::int64_t divide(std::int64_t a, std::int64_t b) {
    if (((a | b) >> 32) == 0) return static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b);
    return a / b;
}

// ---- arithmetic: one rounding for each operation, never fused

SRSDK_HD float mul(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

SRSDK_HD float add(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fadd_rn(a, b);
#else
    return a + b;
#endif
}

SRSDK_HD std::uint32_t bits_of(float value) {
    std::uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

SRSDK_HD float float_of(std::uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

// Elements as they lie in memory, to float and back (rounding half to even).
template <typename T>
SRSDK_HD float widen(std::uint32_t bits) {
    if constexpr (sizeof(T) == 4) {
        return float_of(bits);
    } else {
#if defined(__CUDA_ARCH__)
        return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
#else
        return cpu::half_to_float(static_cast<Half>(bits));
#endif
    }
}

template <typename T>
SRSDK_HD std::uint32_t narrow(float value) {
    if constexpr (sizeof(T) == 4) {
        return bits_of(value);
    } else {
#if defined(__CUDA_ARCH__)
        return __half_as_ushort(__float2half_rn(value));
#else
        return cpu::round_to_half(value);
#endif
    }
}

// ---- 16 bytes at a time

struct alignas(16) Words {
    std::uint32_t at[4];
};

template <typename T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));  // elements in Words

// Element k of Words, as bits. k must be known to the compiler, lest the words move to memory.
template <typename T>
SRSDK_HD std::uint32_t element(const Words& words, int k) {
    if constexpr (sizeof(T) == 4) return words.at[k];
    return (words.at[k / 2] >> (16 * (k % 2))) & 0xffffu;
}

// Set element k, which must be zero.
template <typename T>
SRSDK_HD void insert(Words& words, int k, std::uint32_t bits) {
    if constexpr (sizeof(T) == 4) {
        words.at[k] = bits;
    } else {
        words.at[k / 2] |= bits << (16 * (k % 2));
    }
}

// One element's bits, at an address aligned to it.
template <typename T>
SRSDK_HD std::uint32_t load_bits(const void* at) {
    if constexpr (sizeof(T) == 4) return *static_cast<const std::uint32_t*>(at);
    return *static_cast<const std::uint16_t*>(at);
}
template <typename T>
SRSDK_HD void store_bits(void* at, std::uint32_t bits) {
    if constexpr (sizeof(T) == 4) {
        *static_cast<std::uint32_t*>(at) = bits;
    } else {
        *static_cast<std::uint16_t*>(at) = static_cast<std::uint16_t>(bits);
    }
}

SRSDK_HD int misalignment(const void* at) {
    return static_cast<int>(reinterpret_cast<std::uintptr_t>(at) & 15);
}

}  // namespace srsdk::cuda
