// unpack: tiles of a few rows go through shared memory; bytes in, vectors of floats out.
#pragma once

#include "spans.h"
#include "srsdk/cuda.h"

namespace srsdk::cuda {

template <typename T>
struct Unpack {
    static constexpr int kPhases = 2, kThreads = kMaxThreads;
    static constexpr int kMaxTile = 1280;  // pixels
    static constexpr int kRows = 4;        // of a block: their loads are on the way at once

    enum class Layout { kPlanes, kPixels, kAny };

    Tensor dst;
    ConstFrames src;
    bool swap_rb;
    float scale;
    Layout layout;
    int tile;  // pixels

    SRSDK_HD bool dense() const { return src.stride_w == 3 && src.stride_c == 1; }

    template <int phase>
    SRSDK_HD void run(const Block& block) const {
        const std::int64_t x = block.x * tile;
        const int count = static_cast<int>(smaller<std::int64_t>(tile, src.w - x));
        const int rows = static_cast<int>(smaller<std::int64_t>(kRows, src.h - block.y * kRows));
        const std::uint8_t* const from =
            src.data + block.z * src.stride_n + block.y * kRows * src.stride_h + x * src.stride_w;
        if constexpr (phase == 0) {
            if (rows == kRows && dense() && whole(from, count)) {
                load_whole(from, count, block);
                return;
            }
            Block part = block;
            for (int row = 0; row < rows; ++row, part.shared += pitch()) {
                load(from + row * src.stride_h, count, part);
            }
        } else {
            char* const to = static_cast<char*>(dst.data) + block.z * dst.stride_n +
                             block.y * kRows * dst.stride_h + x * dst.stride_w;
            for (int row = 0; row < rows; ++row) {
                const int shift = dense() ? misalignment(from + row * src.stride_h) : 0;
                store(reinterpret_cast<std::uint8_t*>(to + row * dst.stride_h),
                      block.shared + row * pitch() + shift, count, block);
            }
        }
    }

    SRSDK_HD int pitch() const { return 3 * tile + 16; }

    // Whether all rows are nothing but whole vectors.
    SRSDK_HD bool whole(const std::uint8_t* from, int count) const {
        return ((reinterpret_cast<std::uintptr_t>(from) |
                 static_cast<std::uintptr_t>(src.stride_h) |
                 static_cast<std::uintptr_t>(3 * count)) &
                15) == 0;
    }

    SRSDK_HD void load_whole(const std::uint8_t* from, int count, const Block& block) const {
        for (int v = block.thread; 16 * v < 3 * count; v += block.threads) {
            Words words[kRows];
            SRSDK_UNROLL
            for (int row = 0; row < kRows; ++row) {
                words[row] = *reinterpret_cast<const Words*>(from + row * src.stride_h + 16 * v);
            }
            SRSDK_UNROLL
            for (int row = 0; row < kRows; ++row) {
                *reinterpret_cast<Words*>(block.shared + row * pitch() + 16 * v) = words[row];
            }
        }
    }

    SRSDK_HD void load(const std::uint8_t* from, int count, const Block& block) const {
        if (dense()) {
            copy_in(block.shared, from, 3 * count, block);
            return;
        }
        for (int k = block.thread; k < 3 * count; k += block.threads) {
            const int x = k / 3, c = k - 3 * x;
            block.shared[k] = from[x * src.stride_w + c * src.stride_c];
        }
    }

    SRSDK_HD void store(std::uint8_t* to, const unsigned char* pixels, int count,
                        const Block& block) const {
        if (layout == Layout::kPlanes) {
            for (int c = 0; c < 3; ++c) {
                store_elements<T>(to + c * dst.stride_c, count, block,
                                  Plane{pixels + (swap_rb ? 2 - c : c), scale, 0});
            }
        } else if (layout == Layout::kPixels) {
            store_elements<T>(to, 3 * count, block, Pixels{pixels, scale, swap_rb, 0, 0});
        } else {
            for (int k = block.thread; k < 3 * count; k += block.threads) {
                Pixels source{pixels, scale, swap_rb, 0, 0};
                source.seek(k);
                const int x = k / 3, c = k - 3 * x;
                store_bits<T>(to + x * dst.stride_w + c * dst.stride_c, source.next());
            }
        }
    }

    SRSDK_HD static std::uint32_t convert(unsigned char value, float scale) {
        return narrow<T>(mul(static_cast<float>(value), scale));
    }

    struct Plane {  // one channel
        const unsigned char* pixels;
        float scale;
        int at;
        SRSDK_HD void seek(int k) { at = 3 * k; }
        SRSDK_HD std::uint32_t next() {
            const std::uint32_t bits = convert(pixels[at], scale);
            at += 3;
            return bits;
        }
    };

    struct Pixels {  // all channels
        const unsigned char* pixels;
        float scale;
        bool swap_rb;
        int at, c;
        SRSDK_HD void seek(int k) {
            c = k % 3;
            at = k - c;
        }
        SRSDK_HD std::uint32_t next() {
            const std::uint32_t bits = convert(pixels[at + (swap_rb ? 2 - c : c)], scale);
            if (++c == 3) {
                c = 0;
                at += 3;
            }
            return bits;
        }
    };
};

template <typename T, typename Launch>
void unpack_as(const Tensor& dst, ConstFrames src, bool swap_rb, float scale,
               const Launch& launch) {
    using Op = Unpack<T>;
    constexpr std::int64_t size = sizeof(T);
    if (src.n == 0 || src.h == 0 || src.w == 0) return;
    if (src.stride_w == 3 &&
        src.stride_c == -1) {  // frame[..., ::-1], channels reversed by its strides
        src.data -= 2;
        src.stride_c = 1;
        swap_rb = !swap_rb;
    }
    typename Op::Layout layout = Op::Layout::kAny;
    if (dst.stride_w == size) layout = Op::Layout::kPlanes;
    if (dst.stride_c == size && dst.stride_w == 3 * size) layout = Op::Layout::kPixels;
    const std::int64_t tiles = (src.w - 1) / Op::kMaxTile + 1;
    const int tile = static_cast<int>(((src.w - 1) / tiles + 16) & ~std::int64_t{15});
    const int vectors = 3 * tile / kVector<T>;
    const int threads = smaller(kMaxThreads, (vectors + 31) & ~31);
    const Op op{dst, src, swap_rb, scale, layout, tile};
    launch(op, {(src.w - 1) / tile + 1, (src.h - 1) / Op::kRows + 1, src.n}, threads,
           Op::kRows * op.pitch());
}

template <typename Launch>
void unpack_with(const Tensor& dst, const ConstFrames& src, bool swap_rb, float scale,
                 const Launch& launch) {
    (dst.dtype == DType::kFloat32 ? unpack_as<float, Launch>
                                  : unpack_as<Half, Launch>)(dst, src, swap_rb, scale, launch);
}

}  // namespace srsdk::cuda
