// Eight floats at a time, or sixteen with AVX-512. GCC and Clang split a vector of eight where the
// CPU's registers are narrower; other compilers get loops.
#pragma once

#include <cstring>

#if defined(__GNUC__)
#define SRSDK_INLINE inline __attribute__((always_inline))
#define SRSDK_INLINE_LAMBDA __attribute__((always_inline))
#define SRSDK_NOINLINE __attribute__((noinline))
#if defined(__clang__)
#define SRSDK_UNROLL _Pragma("unroll")
#else
#define SRSDK_UNROLL _Pragma("GCC unroll 16")
#endif
#else
#define SRSDK_INLINE inline
#define SRSDK_INLINE_LAMBDA
#define SRSDK_NOINLINE
#define SRSDK_UNROLL
#endif

namespace srsdk::cpu {
namespace {

#if defined(__GNUC__)

typedef float Vector __attribute__((vector_size(32)));

SRSDK_INLINE void prefetch(const float* at) { __builtin_prefetch(at); }
template <typename V>
SRSDK_INLINE V splat(float value) {
    return value - V{};
}
template <typename V>
SRSDK_INLINE V positive(V value) {
    return value > 0 ? value : V{};
}

#else

struct Vector {
    float lane[8];
};

inline void prefetch(const float*) {}
template <typename V>
inline V splat(float value) {
    V result;
    for (float& lane : result.lane) lane = value;
    return result;
}
inline Vector positive(Vector value) {
    for (float& lane : value.lane) lane = lane > 0 ? lane : 0;
    return value;
}
#define SRSDK_OPERATOR(op)                                              \
    inline Vector operator op(Vector a, const Vector& b) {              \
        for (int i = 0; i < 8; ++i) a.lane[i] = a.lane[i] op b.lane[i]; \
        return a;                                                       \
    }
SRSDK_OPERATOR(+)
SRSDK_OPERATOR(-)
SRSDK_OPERATOR(*)
#undef SRSDK_OPERATOR
inline Vector operator*(float a, const Vector& b) { return splat<Vector>(a) * b; }
inline Vector& operator+=(Vector& a, const Vector& b) { return a = a + b; }

#endif

#if defined(__AVX512F__)
typedef float Widest __attribute__((vector_size(64)));
#else
using Widest = Vector;
#endif

template <typename V>
SRSDK_INLINE V load(const float* at) {
    V value;
    std::memcpy(&value, at, sizeof(value));
    return value;
}
template <typename V>
SRSDK_INLINE void store(float* at, const V& value) {
    std::memcpy(at, &value, sizeof(value));
}

// rows[i][j] <-> rows[j][i]
SRSDK_INLINE void transpose(Vector (&rows)[8]) {
#if defined(__GNUC__) && defined(__AVX__)
    Vector pairs[8], fours[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = __builtin_shufflevector(rows[i], rows[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pairs[i + 1] = __builtin_shufflevector(rows[i], rows[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; ++j) {
            const Vector a = pairs[i + j], b = pairs[i + j + 2];
            fours[i + 2 * j] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
            fours[i + 2 * j + 1] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
        }
    }
    for (int i = 0; i < 4; ++i) {
        rows[i] = __builtin_shufflevector(fours[i], fours[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        rows[i + 4] = __builtin_shufflevector(fours[i], fours[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#else
    float values[8][8];
    for (int i = 0; i < 8; ++i) store(values[i], rows[i]);
    for (int i = 0; i < 8; ++i) {
        float column[8];
        for (int j = 0; j < 8; ++j) column[j] = values[j][i];
        rows[i] = load<Vector>(column);
    }
#endif
}

}  // namespace
}  // namespace srsdk::cpu
