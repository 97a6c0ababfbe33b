// The functions of conv.h, in vectors of eight floats that the compiler maps to what the CPU has,
// or of sixteen where that has AVX-512.
//
// Included by every conv_*.cpp, each compiled for another instruction set with kPanel defined;
// everything is in an anonymous namespace, since the linker would merge inline functions across
// them.
#pragma once

#include <type_traits>

#include "conv.h"
#include "conv_panels.h"
#include "vectors.h"
#include "winograd_generic.h"

namespace srsdk::cpu {
namespace {

// ---- the plain sum

// A block's outputs of M pixels. Not inlined: too much around it would take its registers.
template <int M>
SRSDK_NOINLINE void direct_sums(const ConvTask& task, const float* src, const float* weight,
                                float (&sums)[M][kBlock]) {
    const std::int64_t depth =
        std::int64_t{task.size} * task.channels;  // a row of taps, contiguous
    Widest acc[M][kParts] = {};
    for (int tap = 0; tap < task.size; ++tap) {
        multiply<M>(acc, src + tap * task.src_row, task.channels, weight + tap * depth * kBlock,
                    depth);
    }
    SRSDK_UNROLL
    for (int m = 0; m < M; ++m) {
        SRSDK_UNROLL
        for (int v = 0; v < kParts; ++v) store(sums[m] + v * kWidest, acc[m][v]);
    }
}

template <Activation A>
void direct_row(const ConvTask& task, std::int64_t n, std::int64_t y) {
    const int reach = task.size / 2, c = task.channels;
    const float* src = task.src + n * task.src_image + (y - reach) * task.src_row - reach * c;
    for (int block = 0; block < task.blocks; ++block) {
        const float* weight =
            task.weight + std::int64_t{block} * task.size * task.size * c * kBlock;
        const Targets targets(task, block);
        panels(0, task.w, [&](std::int64_t x, auto count) SRSDK_INLINE_LAMBDA {
            constexpr int kCount = decltype(count)::value;
            float sums[kCount][kBlock];
            direct_sums<kCount>(task, src + x * c, weight, sums);
            targets.each([&](int lane, const auto& to) SRSDK_INLINE_LAMBDA {
                std::int64_t at = to.begin + n * to.image + y * to.row + x * to.pixel;
                SRSDK_UNROLL
                for (int m = 0; m < kCount; ++m, at += to.pixel) {
                    epilogue<A>(task, to, at,
                                load<std::decay_t<decltype(to.bias)>>(sums[m] + lane));
                }
            });
        });
    }
}

void direct(const ConvTask& task, std::int64_t n, std::int64_t y) {
    switch (task.activation) {
        case Activation::kNone:
            return direct_row<Activation::kNone>(task, n, y);
        case Activation::kRelu:
            return direct_row<Activation::kRelu>(task, n, y);
        case Activation::kPRelu:
            return direct_row<Activation::kPRelu>(task, n, y);
    }
}

// ---- the network's ends

void planes(float* dst, std::int64_t pitch, const float* src, std::int64_t w, int c) {
    for (int first = 0; first < c; first += kLanes) {
        float* const to = dst + first * pitch;
        const float* from = src + first;
        std::int64_t x = 0;
        for (; x + kLanes <= w; x += kLanes, from += kLanes * c) {
            Vector rows[kLanes];
            SRSDK_UNROLL
            for (int i = 0; i < kLanes; ++i) rows[i] = load<Vector>(from + i * c);
            transpose(rows);
            SRSDK_UNROLL
            for (int i = 0; i < kLanes; ++i) store(to + i * pitch + x, rows[i]);
        }
        for (; x < w; ++x, from += c) {
            for (int i = 0; i < kLanes; ++i) to[i * pitch + x] = from[i];
        }
    }
}

void widen(float* dst, const std::uint8_t* src, std::int64_t count) {
    constexpr float kUnit = static_cast<float>(1.0 / 255.0);
    for (std::int64_t i = 0; i < count; ++i) dst[i] = static_cast<float>(src[i]) * kUnit;
}

}  // namespace
}  // namespace srsdk::cpu
