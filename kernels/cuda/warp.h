// What a warp does together: matrix products on tensor cores and the loads that feed them.
//
// Kernel bodies that use this are C++ for the device and, in tests, for the host, where every
// thread is a fiber and the collective operations follow PTX's documented layouts
// (warps_on_host.h).
#pragma once

#include "portable.h"

namespace srsdk::cuda {

#if !defined(__CUDA_ARCH__)
class HostBlock;  // warps_on_host.h
#endif

struct Thread {
    int block, lane, warp, warps;
    unsigned char* shared;  // aligned to 128 bytes
#if !defined(__CUDA_ARCH__)
    HostBlock* host;
#endif

    SRSDK_HD int index() const { return 32 * warp + lane; }
    SRSDK_HD int count() const { return 32 * warps; }
};

#if !defined(__CUDA_ARCH__)
namespace host {  // defined in warps_on_host.h, for tests only
void sync(const Thread& thread);
void load_matrices(std::uint32_t* to, int count, const unsigned char* row, const Thread& thread);
void multiply(float* sum, const std::uint32_t* a, const std::uint32_t* b, int k,
              const Thread& thread);
}  // namespace host
#endif

// All threads of the block.
SRSDK_HD void sync(const Thread& thread) {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#else
    host::sync(thread);
#endif
}

// ldmatrix: `kCount` (2 or 4) matrices of 8 rows of 16 bytes. Lane l gives the address of row l % 8
// of matrix l / 8 and gets, of each matrix, 4 bytes: columns 2 * (l % 4) and the next of row l / 4.
template <int kCount>
SRSDK_HD void load_matrices(std::uint32_t (&to)[kCount], int offset, const Thread& thread) {
    static_assert(kCount == 2 || kCount == 4);
#if defined(__CUDA_ARCH__)
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(thread.shared)) +
                    static_cast<std::uint32_t>(offset);
    if constexpr (kCount == 4) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                     : "r"(at)
                     : "memory");
    } else {
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                     : "=r"(to[0]), "=r"(to[1])
                     : "r"(at)
                     : "memory");
    }
#else
    host::load_matrices(to, kCount, thread.shared + offset, thread);
#endif
}

// mma.sync: sum (16 x 8, float32) += a (16 x 16, float16) * b (16 x 8, float16).
// With g = lane / 4 and q = lane % 4, two neighbours in one register:
//     a[0]: row g, columns 2q and 2q + 1; a[1]: row g + 8; a[2], a[3]: the same, columns + 8
//     b[0]: rows 2q and 2q + 1, column g; b[1]: rows + 8
//     sum[0], sum[1]: row g, columns 2q and 2q + 1; sum[2], sum[3]: row g + 8
SRSDK_HD void multiply(float (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                       std::uint32_t b1, const Thread& thread) {
#if defined(__CUDA_ARCH__)
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
#else
    const std::uint32_t b[2] = {b0, b1};
    host::multiply(sum, a, b, 16, thread);
#endif
}

// The same of half the depth: a is 16 x 8, b is 8 x 8.
SRSDK_HD void multiply(float (&sum)[4], const std::uint32_t (&a)[2], std::uint32_t b,
                       const Thread& thread) {
#if defined(__CUDA_ARCH__)
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(b));
#endif
#else
    host::multiply(sum, a, &b, 8, thread);
#endif
}

// max(low, 0) and max(high, 0) as float16, one beside the other; NaN becomes 0... as ReLU has it.
SRSDK_HD std::uint32_t rectified_pair(float low, float high) {
#if defined(__CUDA_ARCH__)
#if __CUDA_ARCH__ >= 800
    std::uint32_t pair;
    asm("cvt.rn.relu.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return 0;
#endif
#else
    return narrow<Half>(low > 0.0f ? low : 0.0f) | narrow<Half>(high > 0.0f ? high : 0.0f) << 16;
#endif
}

}  // namespace srsdk::cuda
