// Winograd's algorithm for 3x3 and 5x5 convolutions, in the vectors of conv_generic.h and included
// as that is.
#pragma once

#include "conv_generic.h"
#include "winograd.h"

namespace srsdk::cpu {
namespace {

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
        : across_((task.w + Step - 1) / Step),
          first_(task.first),
          end_(first_ + (task.h + Step - 1) / Step * Step) {
        const std::int64_t down = (end_ - first_) / Step;
        at_ = {t / (across_ * down), first_ + t / across_ % down * Step, t % across_ * Step};
    }
    const Tile& operator*() const { return at_; }
    void operator++() {
        at_.x += Step;
        if (at_.x < across_ * Step) return;
        at_.x = 0;
        at_.y += Step;
        if (at_.y < end_) return;
        at_.y = first_;
        ++at_.n;
    }

 private:
    std::int64_t across_, first_, end_;
    Tile at_;
};

// The channels of one patch that a vector holds, of rows that begin at src + rows[i] -> a vector in
// each of 36 planes.
template <int Step, typename V>
SRSDK_INLINE void transform_lanes(const float* src, const std::int64_t (&rows)[kPatch],
                                  std::int64_t c, float* dst, std::int64_t pitch) {
    V half[kPatch][kPatch];
    for (int j = 0; j < kPatch; ++j) {
        V column[kPatch], o[kPatch];
        SRSDK_UNROLL
        for (int i = 0; i < kPatch; ++i) {
            const float* const pixel = src + rows[i] + j * c;
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
    std::int64_t rows[kPatch];
    for (std::int64_t t = begin; t < end; ++t, ++tile, dst += depth) {
        const Tile& at = *tile;
        if (t == begin || at.x == 0) {
            for (int i = 0; i < kPatch; ++i) rows[i] = task.src.at(at.n, at.y - reach + i);
        }
        const float* const src = task.src.data + (at.x - reach) * c + first;
        int lane = 0;
        for (; lane + kWidest <= depth; lane += kWidest) {
            transform_lanes<Step, Widest>(src + lane, rows, c, dst + lane, pitch);
        }
        if (lane < depth) transform_lanes<Step, Vector>(src + lane, rows, c, dst + lane, pitch);
    }
}

// The outputs of one tile that a vector holds.
template <int Step, Activation A, typename V>
SRSDK_INLINE void finish_lanes(const ConvTask& task, const Tile& at, const Place& first,
                               const float* src, std::int64_t pitch, const Target<V>& to) {
    const std::int64_t rows = std::min<std::int64_t>(Step, task.first + task.h - at.y);
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
    std::int64_t address = to.begin + at.x * to.pixel;
    for (int i = 0; i < rows; ++i, address += task.shuffle * task.dst.row) {
        V y[Step];
        transform_product<Step>(half[i], y);
        SRSDK_UNROLL
        for (int j = 0; j < Step; ++j) {
            if (j < columns) epilogue<A>(to, first, address + j * to.pixel, y[j]);
        }
    }
}

// One block's output channels, of all tiles.
template <int Step, Activation A>
void transform_products(const ConvTask& task, std::int64_t begin, std::int64_t end, int block,
                        const float* src, std::int64_t pitch) {
    const Targets targets(task, block);
    Tiles<Step> tile(task, begin);
    Place first{};
    for (std::int64_t t = begin; t < end; ++t, ++tile, src += kBlock) {
        const Tile at = *tile;
        if (t == begin || at.x == 0) first = place(task, at.n, at.y);
        targets.each([&](int lane, const auto& to) SRSDK_INLINE_LAMBDA {
            finish_lanes<Step, A>(task, at, first, src + lane, pitch, to);
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

}  // namespace
}  // namespace srsdk::cpu
