// The functions of conv.h, in vectors of eight floats that the compiler maps to what the CPU has,
// or of sixteen where that has AVX-512. Winograd's algorithm is in winograd_generic.h.
//
// Included by every conv_*.cpp, each compiled for another instruction set with kPanel defined;
// everything is in an anonymous namespace, since the linker would merge inline functions across
// them.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "conv.h"
#include "vectors.h"

namespace srsdk::cpu {
namespace {

constexpr int kWidest = sizeof(Widest) / sizeof(float);
constexpr int kParts = kBlock / kWidest;  // vectors that a block of outputs takes

// acc[m] += a[m * stride + t] * b[t], over t: the loop that all the time goes into. All of acc is
// in registers.
template <int M>
SRSDK_INLINE void multiply(Widest (&acc)[M][kParts], const float* a, std::int64_t stride,
                           const float* b, std::int64_t depth) {
    for (std::int64_t t = 0; t < depth; ++t, b += kBlock) {
        Widest part[kParts];
        SRSDK_UNROLL
        for (int v = 0; v < kParts; ++v) part[v] = load<Widest>(b + v * kWidest);
        SRSDK_UNROLL
        for (int m = 0; m < M; ++m) {
            const Widest value = splat<Widest>(a[m * stride + t]);
            SRSDK_UNROLL
            for (int v = 0; v < kParts; ++v) acc[m][v] += value * part[v];
        }
    }
}

// f(index, Count<n>) over [begin, end), n = kPanel at a time and what is left at the end.
template <int N>
struct Count {
    static constexpr int value = N;
};
template <int N, typename F>
SRSDK_INLINE void rest(std::int64_t at, std::int64_t left, const F& f) {
    if constexpr (N > 0) {
        if (left == N) return f(at, Count<N>{});
        rest<N - 1>(at, left, f);
    }
}
template <typename F>
SRSDK_INLINE void panels(std::int64_t begin, std::int64_t end, const F& f) {
    for (; end - begin >= kPanel; begin += kPanel) f(begin, Count<kPanel>{});
    rest<kPanel - 1>(begin, end - begin, f);
}

template <Activation A, typename V>
SRSDK_INLINE V activate(V value, V slope) {
    if constexpr (A == Activation::kNone) return value;
    if constexpr (A == Activation::kRelu) return positive(value);
    return positive(value) + slope * (value - positive(value));
}

// Where the outputs from vector v of eight on go: floats from the first of source pixel 0's
// outputs, and from pixel to pixel.
template <typename V>
struct Target {
    std::int64_t begin, pixel;
    V bias, slope;
};
template <typename V>
SRSDK_INLINE Target<V> target(const ConvTask& task, int v) {
    const int r = task.shuffle, each = task.vectors / (r * r), phase = v / each;
    Target<V> to;
    to.begin = phase / r * task.dst.row + phase % r * task.dst_channels + v % each * kLanes;
    to.pixel = std::int64_t{r} * task.dst_channels;
    to.bias = load<V>(task.bias + v * kLanes);
    to.slope = load<V>(task.slope + v * kLanes);
    return to;
}

// The outputs of a row of source pixels. A sum's are laid out as the target's.
struct Place {
    float* dst;
    const float* add;  // or null
};
SRSDK_INLINE Place place(const ConvTask& task, std::int64_t n, std::int64_t y) {
    const std::int64_t row = y * task.shuffle;
    return {task.dst.data + task.dst.at(n, row),
            task.add.data ? task.add.data + task.add.at(n, row) : nullptr};
}

template <Activation A, typename V>
SRSDK_INLINE void epilogue(const Target<V>& to, const Place& place, std::int64_t at, V value) {
    value = activate<A>(value + to.bias, to.slope);
    if (place.add) value += load<V>(place.add + at);
    store(place.dst + at, value);
}

// Where a block's outputs go: as one vector where they can, else as one or two of eight.
class Targets {
 public:
    Targets(const ConvTask& task, int block) : count_(std::min(2, task.vectors - 2 * block)) {
        const int first = 2 * block, each = task.vectors / (task.shuffle * task.shuffle);
        for (int v = 0; v < count_; ++v) halves_[v] = target<Vector>(task, first + v);
        if constexpr (kWidest == kBlock) {
            joined_ = count_ == 2 && first / each == (first + 1) / each;
            if (joined_) whole_ = target<Widest>(task, first);
        }
    }

    // f(lane, target) for each of them.
    template <typename F>
    SRSDK_INLINE void each(const F& f) const {
        if constexpr (kWidest == kBlock) {
            if (joined_) return f(0, whole_);
        }
        f(0, halves_[0]);
        if (count_ == 2) f(kLanes, halves_[1]);
    }

 private:
    int count_;
    bool joined_ = false;
    Target<Widest> whole_;
    Target<Vector> halves_[2];
};

// ---- the plain sum

// A block's outputs of M pixels. Not inlined: too much around it would take its registers.
template <int M>
SRSDK_NOINLINE void direct_sums(const ConvTask& task, std::int64_t n, std::int64_t y,
                                std::int64_t x, const float* weight, float (&sums)[M][kBlock]) {
    const std::int64_t depth =
        std::int64_t{task.size} * task.channels;  // a row of taps, contiguous
    const int reach = task.size / 2;
    const float* const src = task.src.data + (x - reach) * task.channels;
    Widest acc[M][kParts] = {};
    for (int tap = 0; tap < task.size; ++tap) {
        multiply<M>(acc, src + task.src.at(n, y - reach + tap), task.channels,
                    weight + tap * depth * kBlock, depth);
    }
    SRSDK_UNROLL
    for (int m = 0; m < M; ++m) {
        SRSDK_UNROLL
        for (int v = 0; v < kParts; ++v) store(sums[m] + v * kWidest, acc[m][v]);
    }
}

template <Activation A>
void direct_row(const ConvTask& task, std::int64_t n, std::int64_t y) {
    const Place to_row = place(task, n, y);
    for (int block = 0; block < task.blocks; ++block) {
        const float* weight =
            task.weight + std::int64_t{block} * task.size * task.size * task.channels * kBlock;
        const Targets targets(task, block);
        panels(0, task.w, [&](std::int64_t x, auto count) SRSDK_INLINE_LAMBDA {
            constexpr int kCount = decltype(count)::value;
            float sums[kCount][kBlock];
            direct_sums<kCount>(task, n, y, x, weight, sums);
            targets.each([&](int lane, const auto& to) SRSDK_INLINE_LAMBDA {
                std::int64_t at = to.begin + x * to.pixel;
                SRSDK_UNROLL
                for (int m = 0; m < kCount; ++m, at += to.pixel) {
                    epilogue<A>(to, to_row, at,
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
