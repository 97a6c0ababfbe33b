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

// kValues: floats are added or stored.
template <Activation A, bool kValues>
SRSDK_INLINE V::Int epilogue(const Int8Row& row, V::Int sum, int output, std::int64_t x) {
    V::Float y = V::multiply(V::to_float(sum), V::splat_real(row.scale[output]));
    if constexpr (A == Activation::kPRelu) {
        y = V::select_positive(y, V::multiply(y, V::splat_real(row.slope[output])));
    }
    if constexpr (!kValues) {
        if constexpr (A != Activation::kRelu) y = V::add(y, V::splat_real(row.zero[output]));
        return V::round(V::smaller(y, V::splat_real(kBeyondByte)));
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
template <int N, Activation A, bool kValues>
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
            V::Int y[kQuad];
            SRSDK_UNROLL
            for (int k = 0; k < kQuad; ++k) {
                y[k] = epilogue<A, kValues>(row, sum[o + k][n], first + o + k, at);
            }
            if (kValues && !row.dst) continue;
            V::store_quads(row.dst + (first + o) / kQuad * row.dst_pitch + at, y);
        }
    }
}

template <int N, Activation A, bool kValues>
SRSDK_INLINE void conv_rest(const Int8Row& row, const std::int8_t* weight, int first,
                            std::int64_t x) {
    if constexpr (N > 0) {
        if (x + (N - 1) * V::kLanes >= row.w) {
            return conv_rest<N - 1, A, kValues>(row, weight, first, x);
        }
        conv_panel<N, A, kValues>(row, weight, first, x);
    }
}

template <Activation A, bool kValues>
void conv_row(const Int8Row& row) {
    constexpr std::int64_t kPanelWidth = V::kVectors * V::kLanes;
    const std::int64_t block = std::int64_t{row.size} * row.size * row.quads * kInt8Outputs * kQuad;
    const std::int8_t* weight = row.weight;
    for (int first = 0; first < row.outputs; first += kInt8Outputs, weight += block) {
        for (int o = 0; o < kInt8Outputs; o += V::kOutputs) {
            std::int64_t x = 0;
            for (; x + kPanelWidth - V::kLanes < row.w; x += kPanelWidth) {
                conv_panel<V::kVectors, A, kValues>(row, weight + o * kQuad, first + o, x);
            }
            conv_rest<V::kVectors - 1, A, kValues>(row, weight + o * kQuad, first + o, x);
        }
    }
}

template <bool kValues>
void conv_activation(const Int8Row& row) {
    switch (row.activation) {
        case Activation::kNone:
            return conv_row<Activation::kNone, kValues>(row);
        case Activation::kRelu:
            return conv_row<Activation::kRelu, kValues>(row);
        case Activation::kPRelu:
            return conv_row<Activation::kPRelu, kValues>(row);
    }
}

void conv(const Int8Row& row) {
    row.values ? conv_activation<true>(row) : conv_activation<false>(row);
}

void widen(std::uint32_t* dst, const std::uint8_t* src, std::int64_t w) {
    for (std::int64_t x = 0; x < w; ++x, src += 3) {
        dst[x] = src[0] | std::uint32_t{src[1]} << 8 | std::uint32_t{src[2]} << 16;
    }
}

}  // namespace
}  // namespace srsdk::cpu
