// The functions of int8.h, over a vector type V that each int8_*.cpp defines before it includes
// this file. Everything is in an anonymous namespace, since the linker would merge inline functions
// of files that are compiled for different instruction sets.
//
// V has: Int, Float (vectors of kLanes values); kLanes; kVectors and kOutputs, the pixels (in
// vectors) and outputs that are computed at a time; kSigned, whether activations are read as
// u8 - 128; load, splat (four weights), constant, dot; to_float, splat_real, multiply, add,
// subtract, larger, smaller, select_positive, round; load_quads, store_quads, load_real,
// store_real; store_six, store_twelve (bytes of each pixel).
#pragma once

#include <algorithm>
#include <cstring>

#include "int8.h"
#include "vectors.h"

namespace srsdk::cpu {
namespace {

enum class Result { kBytes, kFine, kValues, kPixels };

// What one output of a panel of pixels is made with.
struct Output {
    V::Float scale, slope, zero, inverse_step;
    const float* add;  // or null
    float* values;
    const std::uint32_t* base;  // or null
    V::Int start, weights, more;
    bool twice;
    V::Float unit;
};

template <Activation A, Result R>
SRSDK_INLINE Output output_of(const Int8Row& row, int number, std::int64_t x) {
    Output output{};
    output.scale = V::splat_real(row.scale[number]);
    if constexpr (A == Activation::kPRelu) output.slope = V::splat_real(row.slope[number]);
    if constexpr (R == Result::kBytes || R == Result::kFine) {
        if constexpr (A != Activation::kRelu) output.zero = V::splat_real(row.zero[number]);
        return output;
    }
    if (row.add) output.add = row.add + row.channel[number] * row.values_pitch + x;
    if constexpr (R == Result::kValues) {
        output.values = row.values + number * row.values_pitch + x;
        output.inverse_step = V::splat_real(row.inverse_step[number]);
        output.zero = V::splat_real(row.zero[number]);
    }
    if constexpr (R == Result::kPixels) {
        const Int8Pixels& pixels = *row.pixels;
        if (!pixels.base) return output;
        const Int8Base& base = pixels.base[number];
        output.base = pixels.pairs[base.pair] + base.color * pixels.pitch + base.shift + x;
        output.start = V::constant(V::kSigned ? 128 * pixels.total : 0);
        output.weights = V::splat(base.weights[0]);
        output.more = V::splat(base.weights[1]);
        output.twice = pixels.twice;
        output.unit = V::splat_real(pixels.unit);
    }
    return output;
}

// Of kValues, floats are added or stored; kPixels are bytes of the frame. `rest` is written for
// kFine. `at` counts pixels from the panel's first one on.
template <Activation A, Result R>
SRSDK_INLINE V::Int epilogue(const Output& output, V::Int sum, std::int64_t at, V::Int& rest) {
    V::Float y = V::multiply(V::to_float(sum), output.scale);
    if constexpr (A == Activation::kPRelu) {
        y = V::select_positive(y, V::multiply(y, output.slope));
    }
    if constexpr (R == Result::kBytes || R == Result::kFine) {
        if constexpr (A != Activation::kRelu) y = V::add(y, output.zero);
    } else {
        if constexpr (A == Activation::kRelu) y = V::larger(y, V::splat_real(0.0f));
        if (output.add) y = V::add(y, V::load_real(output.add + at));
    }
    if constexpr (R == Result::kFine) {
        y = V::larger(y, V::splat_real(0.0f));
        const V::Int level = V::round(V::smaller(y, V::splat_real(255.0f)));
        y = V::multiply(V::subtract(y, V::to_float(level)), V::splat_real(kFineSteps));
        rest = V::round(V::add(y, V::splat_real(kFineZero)));
        return level;
    }
    if constexpr (R == Result::kValues) {
        V::store_real(output.values + at, y);
        y = V::add(V::multiply(y, output.inverse_step), output.zero);
    }
    if constexpr (R == Result::kPixels) {
        y = V::multiply(y, V::splat_real(255.0f));
        if (output.base) {
            const V::Int four = V::load(output.base + at);
            V::Int base = V::dot(output.start, four, output.weights);
            if (output.twice) base = V::dot(base, four, output.more);
            y = V::add(y, V::multiply(V::to_float(base), output.unit));
        }
    }
    return V::round(y);
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
        Output output[kQuad];
        SRSDK_UNROLL
        for (int k = 0; k < kQuad; ++k) output[k] = output_of<A, R>(row, first + o + k, x);
        SRSDK_UNROLL
        for (int n = 0; n < N; ++n) {
            V::Int y[kQuad], rest[kQuad];
            SRSDK_UNROLL
            for (int k = 0; k < kQuad; ++k) {
                y[k] = epilogue<A, R>(output[k], sum[o + k][n], n * V::kLanes, rest[k]);
            }
            if (R == Result::kValues && !row.dst) continue;
            const std::int64_t quad = (first + o) / kQuad * row.dst_pitch + x + n * V::kLanes;
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
    if (row.pixels) return conv_activation<Result::kPixels>(row);
    if (row.values) return conv_activation<Result::kValues>(row);
    row.rest ? conv_activation<Result::kFine>(row) : conv_activation<Result::kBytes>(row);
}

void widen(std::uint32_t* dst, const std::uint8_t* src, std::int64_t w) {
    for (std::int64_t x = 0; x < w; ++x, src += 3) {
        dst[x] = src[0] | std::uint32_t{src[1]} << 8 | std::uint32_t{src[2]} << 16;
    }
}

void neighbours(std::uint32_t* dst, std::int64_t pitch, const std::uint32_t* above,
                const std::uint32_t* below, std::int64_t w) {
    for (int c = 0; c < 3; ++c, dst += pitch) {
        const int shift = 8 * c;
        const auto four = [&](std::int64_t left, std::int64_t right) {
            return (above[left] >> shift & 255u) | (above[right] >> shift & 255u) << 8 |
                   (below[left] >> shift & 255u) << 16 | (below[right] >> shift & 255u) << 24;
        };
        for (std::int64_t x = 0; x < w - 1; ++x) dst[x] = four(x, x + 1);
        dst[-1] = four(0, 0);
        dst[w - 1] = four(w - 1, w - 1);
    }
}

void interleave(std::uint8_t* dst, const std::uint32_t* src, std::int64_t pitch, int bytes,
                std::int64_t w) {
    const std::uint32_t* const second = src + pitch;
    std::int64_t x = 0;
    if (bytes == 6) {
        for (; x + V::kLanes <= w; x += V::kLanes) {
            V::store_six(dst + 6 * x, V::load_quads(src + x), V::load_quads(second + x));
        }
    }
    if (bytes == 12) {
        const std::uint32_t* const third = second + pitch;
        for (; x + V::kLanes <= w; x += V::kLanes) {
            V::store_twelve(dst + 12 * x, V::load_quads(src + x), V::load_quads(second + x),
                            V::load_quads(third + x));
        }
    }
    // Whole quads are written, of which the next pixel's first ones cover what is too much.
    for (; x < w - 1; ++x) {
        for (int q = 0; q * kQuad < bytes; ++q) {
            std::memcpy(dst + bytes * x + q * kQuad, src + q * pitch + x, kQuad);
        }
    }
    for (; x < w; ++x) {
        for (int at = 0; at < bytes; at += kQuad) {
            const std::uint32_t quad = src[at / kQuad * pitch + x];
            std::memcpy(dst + bytes * x + at, &quad,
                        static_cast<std::size_t>(std::min(kQuad, bytes - at)));
        }
    }
}

}  // namespace
}  // namespace srsdk::cpu
