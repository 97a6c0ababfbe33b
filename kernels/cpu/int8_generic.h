// The functions of int8.h, over a vector type V that each int8_*.cpp defines before it includes
// this file. Everything is in an anonymous namespace, since the linker would merge inline functions
// of files that are compiled for different instruction sets.
//
// V has: Int, Float (vectors of kLanes values); kLanes; kVectors and kOutputs, the pixels (in
// vectors) and outputs that are computed at a time; kSigned, whether activations are read as
// u8 - 128; load, splat (four weights), constant, dot; to_float, real, splat_real, multiply, add,
// larger, smaller, select_positive, round; store_quads, load_real, store_real.
#pragma once

#include <algorithm>

#include "int8.h"
#include "vectors.h"

namespace srsdk::cpu {
namespace {

// Saturates as a byte does. What is too large for the conversion to integers would not: x86 makes
// the most negative integer of it, as it does, rightly, of what is too small.
constexpr float kBeyondByte = 65536.0f;

enum class Result { kBytes, kFine, kValues };

// Of kValues, floats are added or stored. `rest` is written for kFine.
template <Activation A, Result R>
SRSDK_INLINE V::Int epilogue(const Int8Row& row, V::Int sum, int output, std::int64_t x,
                             V::Int& rest) {
    V::Float y = V::multiply(V::to_float(sum), V::splat_real(row.scale[output]));
    if constexpr (A == Activation::kPRelu) {
        y = V::select_positive(y, V::multiply(y, V::splat_real(row.slope[output])));
    }
    if constexpr (R != Result::kValues) {
        if constexpr (A != Activation::kRelu) y = V::add(y, V::splat_real(row.zero[output]));
        if constexpr (R == Result::kBytes)
            return V::round(V::smaller(y, V::splat_real(kBeyondByte)));
        y = V::larger(y, V::splat_real(0.0f));
        const V::Int level = V::round(V::smaller(y, V::splat_real(255.0f)));
        y = V::add(y, V::multiply(V::to_float(level), V::splat_real(-1.0f)));
        y = V::add(V::multiply(y, V::splat_real(kFineSteps)), V::splat_real(kFineZero));
        rest = V::round(V::smaller(y, V::splat_real(kBeyondByte)));
        return level;
    }
    if constexpr (A == Activation::kRelu) y = V::larger(y, V::splat_real(0.0f));
    const std::int64_t at = output * row.values_pitch + x;
    if (row.add) y = V::add(y, V::load_real(row.add + at));
    V::store_real(row.values + at, y);
    y = V::multiply(y, V::splat_real(row.inverse_step[output]));
    y = V::add(y, V::splat_real(row.zero[output]));
    return V::round(V::smaller(y, V::splat_real(kBeyondByte)));
}

// N vectors of pixels from x on, kOutputs outputs from `first` on. `weight` is at those outputs.
template <int N, Activation A, Result R>
SRSDK_INLINE void conv_panel(const Int8Row& row, const std::int8_t* weight, int first,
                             std::int64_t x) {
    V::Int sum[V::kOutputs][N];
    SRSDK_UNROLL
    for (int o = 0; o < V::kOutputs; ++o) {
        const std::int32_t start = row.bias[first + o] + (V::kSigned ? row.offset[first + o] : 0);
        SRSDK_UNROLL
        for (int n = 0; n < N; ++n) sum[o][n] = V::constant(start);
    }
    const int reach = row.size / 2, quads = row.quads, size = row.size;
    const std::int64_t pitch = row.src_pitch;
    for (int i = 0; i < size; ++i) {
        for (int j = 0; j < size; ++j) {
            const std::uint32_t* src = row.src[i] + x + j - reach;
            for (int q = 0; q < quads; ++q, src += pitch, weight += kInt8Outputs * kQuad) {
                V::Int act[N];
                SRSDK_UNROLL
                for (int n = 0; n < N; ++n) act[n] = V::load(src + n * V::kLanes);
                SRSDK_UNROLL
                for (int o = 0; o < V::kOutputs; ++o) {
                    const V::Int taps = V::splat(weight + o * kQuad);
                    SRSDK_UNROLL
                    for (int n = 0; n < N; ++n) sum[o][n] = V::dot(sum[o][n], act[n], taps);
                }
            }
        }
    }
    SRSDK_UNROLL
    for (int o = 0; o < V::kOutputs; o += kQuad) {
        if (first + o >= row.outputs) return;
        SRSDK_UNROLL
        for (int n = 0; n < N; ++n) {
            const std::int64_t at = x + n * V::kLanes;
            V::Int y[kQuad], rest[kQuad];
            SRSDK_UNROLL
            for (int k = 0; k < kQuad; ++k) {
                y[k] = epilogue<A, R>(row, sum[o + k][n], first + o + k, at, rest[k]);
            }
            if (R == Result::kValues && !row.dst) continue;
            const std::int64_t quad = (first + o) / kQuad * row.dst_pitch + at;
            V::store_quads(row.dst + quad, y);
            if constexpr (R == Result::kFine) V::store_quads(row.rest + quad, rest);
        }
    }
}

template <int N, Activation A, Result R>
SRSDK_INLINE void conv_rest(const Int8Row& row, const std::int8_t* weight, int first,
                            std::int64_t x) {
    if constexpr (N > 0) {
        if (x + (N - 1) * V::kLanes >= row.w) {
            return conv_rest<N - 1, A, R>(row, weight, first, x);
        }
        conv_panel<N, A, R>(row, weight, first, x);
    }
}

template <Activation A, Result R>
void conv_row(const Int8Row& row) {
    constexpr std::int64_t kPanelWidth = V::kVectors * V::kLanes;
    const std::int64_t block = std::int64_t{row.size} * row.size * row.quads * kInt8Outputs * kQuad;
    const std::int8_t* weight = row.weight;
    for (int first = 0; first < row.outputs; first += kInt8Outputs, weight += block) {
        for (int o = 0; o < kInt8Outputs; o += V::kOutputs) {
            std::int64_t x = 0;
            for (; x + kPanelWidth - V::kLanes < row.w; x += kPanelWidth) {
                conv_panel<V::kVectors, A, R>(row, weight + o * kQuad, first + o, x);
            }
            conv_rest<V::kVectors - 1, A, R>(row, weight + o * kQuad, first + o, x);
        }
    }
}

template <Result R>
void conv_activation(const Int8Row& row) {
    switch (row.activation) {
        case Activation::kNone:
            return conv_row<Activation::kNone, R>(row);
        case Activation::kRelu:
            return conv_row<Activation::kRelu, R>(row);
        case Activation::kPRelu:
            return conv_row<Activation::kPRelu, R>(row);
    }
}

void conv(const Int8Row& row) {
    if (row.values) return conv_activation<Result::kValues>(row);
    row.rest ? conv_activation<Result::kFine>(row) : conv_activation<Result::kBytes>(row);
}

void widen(std::uint32_t* dst, const std::uint8_t* src, std::int64_t w) {
    for (std::int64_t x = 0; x < w; ++x, src += 3) {
        dst[x] = src[0] | std::uint32_t{src[1]} << 8 | std::uint32_t{src[2]} << 16;
    }
}

}  // namespace
}  // namespace srsdk::cpu
