// pixel_shuffle and pixel_shuffle_prelu: one body, with what happens to a value on the way.
//
// Planar tensors: r planes' rows meet in shared memory and leave as one row. Channels last: a few
// pixels' channels are transposed there. Other strides: element by element.
#pragma once

#include "spans.h"
#include "srsdk/cuda.h"

namespace srsdk::cuda {

// ---- what happens to a value

struct Unchanged {
    struct Channel {};
    SRSDK_HD Channel channel(std::int64_t, std::int64_t) const { return {}; }
    SRSDK_HD static std::uint32_t apply(std::uint32_t bits, Channel) { return bits; }
};

template <typename T>
struct BiasPReLU {
    PReLU prelu;

    struct Channel {
        float bias, slope;
    };
    // `in`: channel of the source, `out`: of the destination.
    SRSDK_HD Channel channel(std::int64_t in, std::int64_t out) const {
        return {prelu.bias ? prelu.bias[in] : 0.0f, prelu.slope[prelu.one_slope ? 0 : out]};
    }
    SRSDK_HD static std::uint32_t apply(std::uint32_t bits, Channel channel) {
        const float value = add(widen<T>(bits), channel.bias);
        return narrow<T>(value > 0.0f ? value : mul(value, channel.slope));
    }
};

// ---- planes

template <typename T, int R, typename Change>
struct ShufflePlanes {
    static constexpr int kPhases = 2, kThreads = kMaxThreads;
    static constexpr int kGroups = R == 1 ? 256 : R == 2 ? 128 : R == 8 ? 32 : 64;  // of Words

    Tensor dst;
    ConstTensor src;
    Change change;
    int groups;   // of this launch, at most kGroups
    bool vector;  // source rows are aligned to 16 bytes

    SRSDK_HD int pitch() const { return groups * R * 16 + 16; }

    template <int phase>
    SRSDK_HD void run(const Block& block) const {
        const std::int64_t n = divide(block.z, dst.c), c = block.z - n * dst.c;
        const int tile = groups * kVector<T>;
        const std::int64_t x = block.x * tile;
        const int count = static_cast<int>(smaller<std::int64_t>(tile, src.w - x));
        if constexpr (phase == 0) {
            const char* from = static_cast<const char*>(src.data) + n * src.stride_n +
                               c * R * R * src.stride_c + block.y * src.stride_h + x * src.stride_w;
            for (int item = block.thread; item < groups * R; item += block.threads) {
                const int i = item / groups, group = item - i * groups;
                const int left = count - group * kVector<T>;
                if (left > 0) gather(from, c, i, group, left, block.shared + i * pitch());
            }
        } else {
            char* to = static_cast<char*>(dst.data) + n * dst.stride_n + c * dst.stride_c +
                       block.y * R * dst.stride_h + x * R * dst.stride_w;
            for (int i = 0; i < R; ++i) {
                copy_out(reinterpret_cast<std::uint8_t*>(to + i * dst.stride_h),
                         block.shared + i * pitch(), count * R * static_cast<int>(sizeof(T)),
                         block);
            }
        }
    }

    // Words of r planes, interleaved, to a row in shared memory.
    SRSDK_HD void gather(const char* from, std::int64_t c, int i, int group, int left,
                         unsigned char* row) const {
        constexpr int size = static_cast<int>(sizeof(T));
        const std::int64_t in_channel = (c * R + i) * R;
        from += group * 16 + i * R * src.stride_c;
        row += group * R * 16;
        typename Change::Channel channel[R];
        SRSDK_UNROLL
        for (int j = 0; j < R; ++j) channel[j] = change.channel(in_channel + j, c);
        if (!vector || left < kVector<T>) {
            for (int k = 0; k < smaller<int>(left, kVector<T>); ++k) {
                SRSDK_UNROLL
                for (int j = 0; j < R; ++j) {
                    const std::uint32_t bits = load_bits<T>(from + j * src.stride_c + k * size);
                    store_bits<T>(row + (k * R + j) * size, Change::apply(bits, channel[j]));
                }
            }
            return;
        }
        Words in[R], out[R];
        SRSDK_UNROLL
        for (int j = 0; j < R; ++j) {
            in[j] = *reinterpret_cast<const Words*>(from + j * src.stride_c);
            out[j] = Words{};
        }
        SRSDK_UNROLL
        for (int k = 0; k < kVector<T>; ++k) {
            SRSDK_UNROLL
            for (int j = 0; j < R; ++j) {
                const int at = k * R + j;
                const std::uint32_t bits = Change::apply(element<T>(in[j], k), channel[j]);
                insert<T>(out[at / kVector<T>], at % kVector<T>, bits);
            }
        }
        auto* const to = reinterpret_cast<Words*>(row);
        SRSDK_UNROLL
        for (int j = 0; j < R; ++j) to[j] = out[j];
    }
};

// ---- channels last

template <typename T, typename Change>
struct ShufflePixels {
    static constexpr int kPhases = 2, kThreads = kMaxThreads;
    static constexpr int kBytes = 16 << 10;  // of a tile, if one pixel is not more than that

    Tensor dst;
    ConstTensor src;
    Change change;
    int r, tile;

    // One word in 32 stays empty: neighbouring channels of the result are r * r elements apart
    // here, and would meet in the same banks.
    SRSDK_HD static int skewed(int byte) { return byte + (byte >> 7 << 2); }
    static int shared_bytes(int bytes) { return skewed(bytes + 16) + 4; }

    template <int phase>
    SRSDK_HD void run(const Block& block) const {
        const std::int64_t x = block.x * tile;
        const int count = static_cast<int>(smaller<std::int64_t>(tile, src.w - x));
        const char* from = static_cast<const char*>(src.data) + block.z * src.stride_n +
                           block.y * src.stride_h + x * src.stride_w;
        const int shift = misalignment(from), channels = static_cast<int>(dst.c);
        if constexpr (phase == 0) {
            load(from, shift, count * channels * r * r * static_cast<int>(sizeof(T)), block);
        } else {
            char* to = static_cast<char*>(dst.data) + block.z * dst.stride_n +
                       block.y * r * dst.stride_h + x * r * dst.stride_w;
            for (int i = 0; i < r; ++i) {
                store_elements<T>(reinterpret_cast<std::uint8_t*>(to + i * dst.stride_h),
                                  count * r * channels, block,
                                  Row{change, block.shared, shift, r, channels, i, 0, 0, 0});
            }
        }
    }

    SRSDK_HD void load(const char* from, int shift, int bytes, const Block& block) const {
        const char* const base = from - shift;
        for (int v = block.thread; 16 * v < shift + bytes; v += block.threads) {
            const int begin = 16 * v;
            if (begin >= shift && begin + 16 <= shift + bytes) {
                const Words words = *reinterpret_cast<const Words*>(base + begin);
                auto* const to = reinterpret_cast<std::uint32_t*>(block.shared + skewed(begin));
                SRSDK_UNROLL
                for (int k = 0; k < 4; ++k) to[k] = words.at[k];
            } else {
                const int last = smaller(begin + 16, shift + bytes);
                for (int k = larger(begin, shift); k < last; k += static_cast<int>(sizeof(T))) {
                    store_bits<T>(block.shared + skewed(k), load_bits<T>(base + k));
                }
            }
        }
    }

    struct Row {  // row i of what one source row becomes: elements in the order (x, j, c)
        Change change;
        const unsigned char* shared;
        int shift, r, channels, i, x, j, c;
        SRSDK_HD void seek(int k) {
            const int pixel = k / channels;
            c = k - pixel * channels;
            x = pixel / r;
            j = pixel - x * r;
        }
        SRSDK_HD std::uint32_t next() {
            const int in = (c * r + i) * r + j;
            const int at = shift + (x * channels * r * r + in) * static_cast<int>(sizeof(T));
            const std::uint32_t bits =
                Change::apply(load_bits<T>(shared + skewed(at)), change.channel(in, c));
            if (++c == channels) {
                c = 0;
                if (++j == r) {
                    j = 0;
                    ++x;
                }
            }
            return bits;
        }
    };
};

// ---- channels last, whole vectors of channels

// A thread takes one pixel's 16 bytes of output channels: all of the r * r vectors of the input
// that they come from, which lie in a row, and all r * r vectors of the output. No shared memory,
// and r * r loads on the way at once.
template <typename T, int R, typename Change>
struct ShuffleGroups {
    static constexpr int kPhases = 1, kThreads = kMaxThreads;

    Tensor dst;
    ConstTensor src;
    Change change;
    int groups;  // of kVector<T> output channels

    template <int>
    SRSDK_HD void run(const Block& block) const {
        constexpr int size = static_cast<int>(sizeof(T));
        const std::int64_t item = block.x * block.threads + block.thread;
        const std::int64_t x = divide(item, groups);
        if (x >= src.w) return;
        const std::int64_t first = (item - x * groups) * kVector<T>;  // channel
        const auto* const from = reinterpret_cast<const Words*>(
            static_cast<const char*>(src.data) + block.z * src.stride_n + block.y * src.stride_h +
            x * src.stride_w + first * R * R * size);
        Words in[R * R];
        SRSDK_UNROLL
        for (int k = 0; k < R * R; ++k) in[k] = from[k];
        char* const to = static_cast<char*>(dst.data) + block.z * dst.stride_n +
                         block.y * R * dst.stride_h + x * R * dst.stride_w + first * size;
        SRSDK_UNROLL
        for (int i = 0; i < R; ++i) {
            SRSDK_UNROLL
            for (int j = 0; j < R; ++j) {
                Words out{};
                SRSDK_UNROLL
                for (int c = 0; c < kVector<T>; ++c) {
                    const int at = (c * R + i) * R + j;
                    const std::uint32_t bits = element<T>(in[at / kVector<T>], at % kVector<T>);
                    insert<T>(out, c,
                              Change::apply(bits, change.channel(first * R * R + at, first + c)));
                }
                *reinterpret_cast<Words*>(to + i * dst.stride_h + j * dst.stride_w) = out;
            }
        }
    }
};

// ---- any strides

template <typename T, typename Change>
struct ShuffleAny {
    static constexpr int kPhases = 1, kThreads = kMaxThreads;

    Tensor dst;
    ConstTensor src;
    Change change;
    int r;

    template <int>
    SRSDK_HD void run(const Block& block) const {
        const std::int64_t n = divide(block.z, dst.c), c = block.z - n * dst.c;
        const std::int64_t x = block.x * block.threads + block.thread;
        if (x >= dst.w) return;
        const std::int64_t sx = divide(x, r), sy = divide(block.y, r);
        const std::int64_t in = (c * r + (block.y - sy * r)) * r + (x - sx * r);
        const char* from = static_cast<const char*>(src.data) + n * src.stride_n +
                           in * src.stride_c + sy * src.stride_h + sx * src.stride_w;
        char* to = static_cast<char*>(dst.data) + n * dst.stride_n + c * dst.stride_c +
                   block.y * dst.stride_h + x * dst.stride_w;
        store_bits<T>(to, Change::apply(load_bits<T>(from), change.channel(in, c)));
    }
};

// ---- which of them

template <typename T, int R, typename Change, typename Launch>
void shuffle_planes(const Tensor& dst, const ConstTensor& src, const Change& change,
                    const Launch& launch) {
    using Op = ShufflePlanes<T, R, Change>;
    const std::int64_t vectors = (src.w - 1) / kVector<T> + 1;
    const std::int64_t tiles = (vectors - 1) / Op::kGroups + 1;
    const int groups = static_cast<int>((vectors - 1) / tiles + 1);
    const Op op{dst, src, change, groups, aligned_rows(src)};
    launch(op, {(vectors - 1) / groups + 1, src.h, src.n * dst.c},
           smaller(kMaxThreads, (groups * R + 31) & ~31), R * op.pitch());
}

template <typename T, int R, typename Change, typename Launch>
void shuffle_groups(const Tensor& dst, const ConstTensor& src, const Change& change,
                    const Launch& launch) {
    const int groups = static_cast<int>(dst.c / kVector<T>);
    const std::int64_t items = src.w * groups;
    const int threads = static_cast<int>(smaller<std::int64_t>(kMaxThreads, (items + 31) & ~31));
    launch(ShuffleGroups<T, R, Change>{dst, src, change, groups},
           {(items - 1) / threads + 1, src.h, src.n}, threads, 0);
}

// Whether every pixel of `x` begins on 16 bytes.
inline bool aligned_pixels(const void* data, std::int64_t strides) {
    return ((reinterpret_cast<std::uintptr_t>(data) | static_cast<std::uintptr_t>(strides)) & 15) ==
           0;
}

template <typename T, typename Change, typename Launch>
void shuffle_as(const Tensor& dst, const ConstTensor& src, int r, const Change& change,
                const Launch& launch) {
    constexpr std::int64_t size = sizeof(T);
    if (dst.n == 0 || dst.c == 0 || dst.h == 0 || dst.w == 0) return;
    const std::int64_t pixel = src.c * size;
    if (src.stride_c == size && dst.stride_c == size && dst.c % kVector<T> == 0 &&
        dst.c <= std::int64_t{1} << 24 && r >= 2 && r <= 4 &&
        aligned_pixels(src.data, src.stride_n | src.stride_h | src.stride_w) &&
        aligned_pixels(dst.data, dst.stride_n | dst.stride_h | dst.stride_w)) {
        if (r == 2) shuffle_groups<T, 2>(dst, src, change, launch);
        if (r == 3) shuffle_groups<T, 3>(dst, src, change, launch);
        if (r == 4) shuffle_groups<T, 4>(dst, src, change, launch);
        return;
    }
    if (src.stride_c == size && src.stride_w == pixel && dst.stride_c == size &&
        dst.stride_w == dst.c * size && pixel <= 2 * ShufflePixels<T, Change>::kBytes) {
        using Op = ShufflePixels<T, Change>;
        const std::int64_t max_tile = larger<std::int64_t>(1, Op::kBytes / pixel);
        const int tile = static_cast<int>(smaller(max_tile, src.w));
        launch(Op{dst, src, change, r, tile}, {(src.w - 1) / tile + 1, src.h, src.n}, kMaxThreads,
               Op::shared_bytes(static_cast<int>(tile * pixel)));
        return;
    }
    if (src.stride_w == size && dst.stride_w == size) {
        if (r == 1) shuffle_planes<T, 1>(dst, src, change, launch);
        if (r == 2) shuffle_planes<T, 2>(dst, src, change, launch);
        if (r == 3) shuffle_planes<T, 3>(dst, src, change, launch);
        if (r == 4) shuffle_planes<T, 4>(dst, src, change, launch);
        if (r == 8) shuffle_planes<T, 8>(dst, src, change, launch);
        return;
    }
    const int threads = static_cast<int>(smaller<std::int64_t>(kMaxThreads, (dst.w + 31) & ~31));
    launch(ShuffleAny<T, Change>{dst, src, change, r},
           {(dst.w - 1) / threads + 1, dst.h, dst.n * dst.c}, threads, 0);
}

template <typename Launch>
void pixel_shuffle_with(const Tensor& dst, const ConstTensor& src, int r, const Launch& launch) {
    (dst.dtype == DType::kFloat32 ? shuffle_as<float, Unchanged, Launch>
                                  : shuffle_as<Half, Unchanged, Launch>)(dst, src, r, {}, launch);
}

template <typename Launch>
void pixel_shuffle_prelu_with(const Tensor& dst, const ConstTensor& src, int r, const PReLU& prelu,
                              const Launch& launch) {
    if (dst.dtype == DType::kFloat32) {
        shuffle_as<float>(dst, src, r, BiasPReLU<float>{prelu}, launch);
    } else {
        shuffle_as<Half>(dst, src, r, BiasPReLU<Half>{prelu}, launch);
    }
}

}  // namespace srsdk::cuda
