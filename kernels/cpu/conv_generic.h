// The functions of conv.h, in vectors of eight floats that the compiler maps to what the CPU has,
// or of sixteen where that has AVX-512.
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
#include "winograd.h"

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

// Where the outputs from vector v of eight on go: the address of source pixel (0, 0), and the steps
// to the next ones.
template <typename V>
struct Target {
    std::int64_t begin, row, image, pixel;
    V bias, slope;
};
template <typename V>
SRSDK_INLINE Target<V> target(const ConvTask& task, int v) {
    const int r = task.shuffle, each = task.vectors / (r * r), phase = v / each;
    Target<V> to;
    to.begin = phase / r * task.dst_row + phase % r * task.dst_channels + v % each * kLanes;
    to.row = r * task.dst_row;
    to.image = task.dst_image;
    to.pixel = std::int64_t{r} * task.dst_channels;
    to.bias = load<V>(task.bias + v * kLanes);
    to.slope = load<V>(task.slope + v * kLanes);
    return to;
}

template <Activation A, typename V>
SRSDK_INLINE void epilogue(const ConvTask& task, const Target<V>& to, std::int64_t at, V value) {
    value = activate<A>(value + to.bias, to.slope);
    if (task.add) value += load<V>(task.add + at);
    store(task.dst + at, value);
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

// ---- Winograd

template <typename V>
SRSDK_INLINE void transform_patch(const V (&d)[kPatch], V (&o)[kPatch]) {
    constexpr float kProduct = kNear2 * kFar2, kSum = kNear2 + kFar2;
    const V near_even = d[4] - kFar2 * d[2], near_odd = d[3] - kFar2 * d[1];
    const V far_even = d[4] - kNear2 * d[2], far_odd = d[3] - kNear2 * d[1];
    o[0] = kProduct * d[0] + (d[4] - kSum * d[2]);
    o[1] = near_even + kNear * near_odd;
    o[2] = near_even - kNear * near_odd;
    o[3] = far_even + kFar * far_odd;
    o[4] = far_even - kFar * far_odd;
    o[5] = kProduct * d[1] + (d[5] - kSum * d[3]);
}

template <int Step, typename V>
SRSDK_INLINE void transform_product(const V (&m)[kPatch], V (&y)[Step]) {
    const V near_sum = m[1] + m[2], near_difference = m[1] - m[2];
    const V far_sum = m[3] + m[4], far_difference = m[3] - m[4];
    y[0] = m[0] + near_sum + far_sum;
    if constexpr (Step == 2) {
        y[1] = kNear * near_difference + (kFar * far_difference + m[5]);
    } else {
        y[1] = kNear * near_difference + kFar * far_difference;
        y[2] = kNear2 * near_sum + kFar2 * far_sum;
        y[3] = kNear3 * near_difference + (kFar3 * far_difference + m[5]);
    }
}

// Tile number t, counted over all images.
struct Tile {
    std::int64_t n, y, x;  // y and x in output pixels
};
template <int Step>
class Tiles {
 public:
    Tiles(const ConvTask& task, std::int64_t t)
        : across_((task.w + Step - 1) / Step), down_((task.h + Step - 1) / Step) {
        at_ = {t / (across_ * down_), t / across_ % down_ * Step, t % across_ * Step};
    }
    const Tile& operator*() const { return at_; }
    void operator++() {
        at_.x += Step;
        if (at_.x < across_ * Step) return;
        at_.x = 0;
        at_.y += Step;
        if (at_.y < down_ * Step) return;
        at_.y = 0;
        ++at_.n;
    }

 private:
    std::int64_t across_, down_;
    Tile at_;
};

// The channels of one patch that a vector holds -> a vector in each of 36 planes.
template <int Step, typename V>
SRSDK_INLINE void transform_lanes(const ConvTask& task, const float* src, float* dst,
                                  std::int64_t pitch) {
    const std::int64_t row = task.src_row, c = task.channels;
    V half[kPatch][kPatch];
    for (int j = 0; j < kPatch; ++j) {
        V column[kPatch], o[kPatch];
        SRSDK_UNROLL
        for (int i = 0; i < kPatch; ++i) {
            const float* const pixel = src + i * row + j * c;
            // Too many rows at once for the CPU to foresee: what the tile after the next
            // one is the first to read.
            if (j >= kPatch - Step) prefetch(pixel + 2 * Step * c);
            column[i] = load<V>(pixel);
        }
        transform_patch(column, o);
        SRSDK_UNROLL
        for (int i = 0; i < kPatch; ++i) half[i][j] = o[i];
    }
    for (int i = 0; i < kPatch; ++i) {
        V o[kPatch];
        transform_patch(half[i], o);
        SRSDK_UNROLL
        for (int j = 0; j < kPatch; ++j) store(dst + (i * kPatch + j) * pitch, o[j]);
    }
}

// (tiles, depth) in each of 36 planes, from the patches' channels [first, first + depth).
template <int Step>
void transform_patches(const ConvTask& task, std::int64_t begin, std::int64_t end, int first,
                       int depth, float* dst, std::int64_t pitch) {
    const int reach = task.size / 2, c = task.channels;
    Tiles<Step> tile(task, begin);
    for (std::int64_t t = begin; t < end; ++t, ++tile, dst += depth) {
        const Tile& at = *tile;
        const float* const src = task.src + at.n * task.src_image + (at.y - reach) * task.src_row +
                                 (at.x - reach) * c + first;
        int lane = 0;
        for (; lane + kWidest <= depth; lane += kWidest) {
            transform_lanes<Step, Widest>(task, src + lane, dst + lane, pitch);
        }
        if (lane < depth) transform_lanes<Step, Vector>(task, src + lane, dst + lane, pitch);
    }
}

// The outputs of one tile that a vector holds.
template <int Step, Activation A, typename V>
SRSDK_INLINE void finish_lanes(const ConvTask& task, const Tile& at, const float* src,
                               std::int64_t pitch, const Target<V>& to) {
    const std::int64_t rows = std::min<std::int64_t>(Step, task.h - at.y);
    const std::int64_t columns = std::min<std::int64_t>(Step, task.w - at.x);
    V half[Step][kPatch];
    for (int j = 0; j < kPatch; ++j) {
        V column[kPatch], y[Step];
        SRSDK_UNROLL
        for (int i = 0; i < kPatch; ++i) {
            const float* const product = src + (i * kPatch + j) * pitch;
            prefetch(product + kBlock);
            column[i] = load<V>(product);
        }
        transform_product<Step>(column, y);
        SRSDK_UNROLL
        for (int i = 0; i < Step; ++i) half[i][j] = y[i];
    }
    std::int64_t address = to.begin + at.n * to.image + at.y * to.row + at.x * to.pixel;
    for (int i = 0; i < rows; ++i, address += to.row) {
        V y[Step];
        transform_product<Step>(half[i], y);
        SRSDK_UNROLL
        for (int j = 0; j < Step; ++j) {
            if (j < columns) epilogue<A>(task, to, address + j * to.pixel, y[j]);
        }
    }
}

// One block's output channels, of all tiles.
template <int Step, Activation A>
void transform_products(const ConvTask& task, std::int64_t begin, std::int64_t end, int block,
                        const float* src, std::int64_t pitch) {
    const Targets targets(task, block);
    Tiles<Step> tile(task, begin);
    for (std::int64_t t = begin; t < end; ++t, ++tile, src += kBlock) {
        const Tile at = *tile;
        targets.each([&](int lane, const auto& to) SRSDK_INLINE_LAMBDA {
            finish_lanes<Step, A>(task, at, src + lane, pitch, to);
        });
    }
}

// One block's products in each of 36 planes: (tiles, depth) x (depth, 16), added to what is there
// unless `Fresh`.
template <bool Fresh>
void multiply_planes(float* dst, std::int64_t dst_pitch, const float* patches, std::int64_t pitch,
                     const float* weight, std::int64_t tiles, int depth) {
    for (int p = 0; p < kPoints; ++p) {
        const float* a = patches + p * pitch;
        const float* b = weight + std::int64_t{p} * depth * kBlock;
        float* out = dst + p * dst_pitch;
        panels(0, tiles, [&](std::int64_t t, auto count) SRSDK_INLINE_LAMBDA {
            constexpr int kCount = decltype(count)::value;
            Widest acc[kCount][kParts] = {};
            if constexpr (!Fresh) {
                SRSDK_UNROLL
                for (int m = 0; m < kCount; ++m) {
                    SRSDK_UNROLL
                    for (int v = 0; v < kParts; ++v) {
                        acc[m][v] = load<Widest>(out + (t + m) * kBlock + v * kWidest);
                    }
                }
            }
            multiply<kCount>(acc, a + t * depth, depth, b, depth);
            SRSDK_UNROLL
            for (int m = 0; m < kCount; ++m) {
                SRSDK_UNROLL
                for (int v = 0; v < kParts; ++v) {
                    store(out + (t + m) * kBlock + v * kWidest, acc[m][v]);
                }
            }
        });
    }
}

template <int Step, Activation A>
void winograd_unit(const ConvTask& task, std::int64_t begin, std::int64_t end, int tiles,
                   float* scratch) {
    const int c = task.channels;
    const std::int64_t patch_pitch = plane_pitch(tiles, depth_of(c));
    const std::int64_t product_pitch = plane_pitch(tiles, kBlock);
    float* const products = scratch + kPoints * patch_pitch;
    const float* weight = task.weight;
    for (int first = 0; first < c; first += kDepth) {
        const int depth = std::min(kDepth, c - first);
        const bool last = first + depth == c;
        transform_patches<Step>(task, begin, end, first, depth, scratch, patch_pitch);
        for (int block = 0; block < task.blocks; ++block) {
            float* const out = products + (c > kDepth ? block * kPoints * product_pitch : 0);
            (first == 0 ? multiply_planes<true>
                        : multiply_planes<false>)(out, product_pitch, scratch, patch_pitch, weight,
                                                  end - begin, depth);
            weight += std::int64_t{kPoints} * depth * kBlock;
            if (!last) continue;
            transform_products<Step, A>(task, begin, end, block, out, product_pitch);
        }
    }
}

template <int Step>
void winograd_step_unit(const ConvTask& task, std::int64_t begin, std::int64_t end, int tiles,
                        float* scratch) {
    switch (task.activation) {
        case Activation::kNone:
            return winograd_unit<Step, Activation::kNone>(task, begin, end, tiles, scratch);
        case Activation::kRelu:
            return winograd_unit<Step, Activation::kRelu>(task, begin, end, tiles, scratch);
        case Activation::kPRelu:
            return winograd_unit<Step, Activation::kPRelu>(task, begin, end, tiles, scratch);
    }
}

void winograd(const ConvTask& task, std::int64_t begin, std::int64_t end, int tiles,
              float* scratch) {
    if (task.size == 3) return winograd_step_unit<4>(task, begin, end, tiles, scratch);
    winograd_step_unit<2>(task, begin, end, tiles, scratch);
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
