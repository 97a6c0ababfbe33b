// Convolutions on tensors with the channels last: the inner functions, one table of them for each
// instruction set.
//
// A tensor is (n, h, w, c) float32 with a border of zeros around every image, wide enough for all
// that read it, so that no inner loop asks where an image ends. c is a multiple of 8, except that
// of the network's input, which is 3. Pitches count floats.
#pragma once

#include <cstdint>

namespace srsdk::cpu {

constexpr int kLanes = 8;   // channels in a vector
constexpr int kBlock = 16;  // output channels that weights are packed for and computed at a time
constexpr int kPatch = 6;   // side of the input patches of Winograd's algorithm
constexpr int kPoints = kPatch * kPatch;
constexpr int kDepth = 64;  // input channels that are transformed at a time

enum class Activation : std::int32_t { kNone, kRelu, kPRelu };

// Images of which perhaps only a few rows are kept: row y is in place y mod `rows`. Rows above an
// image have negative numbers and are in the last places.
template <typename T>
struct Strip {
    T* data = nullptr;  // pixel 0 of place 0 of image 0
    std::int64_t row = 0, image = 0;
    std::int64_t rows = 0;
    std::int64_t base = 0;  // a multiple of `rows`, at most that many from the rows asked for

    // Floats from `data` to pixel 0 of row y.
    std::int64_t at(std::int64_t n, std::int64_t y) const {
        const std::int64_t place = y - base;
        return n * image + (place < 0 ? place + rows : place < rows ? place : place - rows) * row;
    }
};

// dst = activation(convolution(src) + bias) [+ add], zero padded, shuffled by `shuffle` on the way.
struct ConvTask {
    Strip<const float> src;
    int channels = 0;  // of src, and the floats from pixel to pixel
    int size = 0;      // of the kernel

    // Packed by winograd_weights or direct_weights. Output vector v of 8 channels belongs to phase
    // (i, j) of the shuffle, i * shuffle + j = v / (vectors / shuffle^2).
    const float* weight = nullptr;
    const float* bias = nullptr;   // (blocks * 16,)
    const float* slope = nullptr;  // (blocks * 16,), read for kPRelu only
    Activation activation = Activation::kNone;
    int blocks = 0;   // of 16 output channels computed
    int vectors = 0;  // of 8 output channels stored

    Strip<float> dst;
    Strip<const float> add;  // its data null for none; may be dst itself
    int dst_channels = 0;    // of dst and add
    int shuffle = 1;

    // Rows [first, first + h) of src's images are computed, the first of them a tile's first.
    std::int64_t first = 0, h = 0, w = 0;
};

struct ConvKernels {
    // Winograd's F(4x4, 3x3) and F(2x2, 5x5), which share their input patches of 6 x 6: tiles
    // [begin, end), counted over all images, at most `tiles` of them.
    // scratch: winograd_scratch(channels, blocks, tiles) floats on a cache line.
    void (*winograd)(const ConvTask& task, std::int64_t begin, std::int64_t end, int tiles,
                     float* scratch);
    // The plain sum, any odd size: row y of image n.
    void (*direct)(const ConvTask& task, std::int64_t n, std::int64_t y);
    // w pixels of c channels, c a multiple of 8 -> c planes.
    void (*planes)(float* dst, std::int64_t pitch, const float* src, std::int64_t w, int c);
    // u8 -> float in [0, 1].
    void (*widen)(float* dst, const std::uint8_t* src, std::int64_t count);
};

// Output pixels along a tile's side, for kernels of size 3 and 5.
constexpr int winograd_step(int size) { return kPatch + 1 - size; }

inline std::int64_t winograd_tiles(std::int64_t n, std::int64_t h, std::int64_t w, int size) {
    const std::int64_t step = winograd_step(size);
    return n * ((h + step - 1) / step) * ((w + step - 1) / step);
}

constexpr int depth_of(int channels) { return channels < kDepth ? channels : kDepth; }

// Floats from one of the 36 planes of transformed tiles to the next: an odd number of cache lines,
// since the planes would otherwise fall on the same few lines of the cache.
constexpr std::int64_t plane_pitch(int tiles, int channels) {
    return (std::int64_t{tiles} * channels + 31) / 32 * 32 + 16;
}

inline std::int64_t winograd_scratch(int channels, int blocks, int tiles) {
    const std::int64_t products = channels > kDepth ? blocks : 1;
    return kPoints *
           (plane_pitch(tiles, depth_of(channels)) + products * plane_pitch(tiles, kBlock));
}

const ConvKernels& portable_convs();
#if defined(SRSDK_AVX2)
const ConvKernels& avx2_convs();
const ConvKernels& avx512_convs();
#endif
#if defined(SRSDK_NEON)
const ConvKernels& neon_convs();
#endif

// The table that goes with rows().
const ConvKernels& convs();

}  // namespace srsdk::cpu
