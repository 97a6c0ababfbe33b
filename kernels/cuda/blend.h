// blend: many feathered rectangles in one launch, in place.
//
// Where rectangles overlap, the result is that of laying them down one after the other: the first
// face that covers a byte owns it, and applies all that cover it, in order. No byte is touched by
// two threads.
#pragma once

#include "spans.h"
#include "srsdk/cuda.h"

namespace srsdk::cuda {

struct Blend {
    static constexpr int kPhases = 1, kThreads = 128;
    static constexpr int kMaxFaces = 32;  // by value: a kernel takes 4 KB of arguments

    struct Rectangle {
        const std::uint8_t* patch;  // its first visible pixel
        std::int64_t stride_h, stride_w, stride_c;
        const std::uint16_t *weight_y, *weight_x;  // those of the first visible row and column
        std::int64_t top, left, h, w;              // in dst, inside it
        std::uint32_t overlaps;                    // bit g: face g meets this one

        SRSDK_HD bool covers(std::int64_t y, std::int64_t x) const {
            return y >= top && y < top + h && x >= left && x < left + w;
        }
        SRSDK_HD std::uint8_t laid_over(std::uint8_t below, std::int64_t y, std::int64_t x,
                                        int c) const {
            const std::uint8_t above =
                patch[(y - top) * stride_h + (x - left) * stride_w + c * stride_c];
            return mixed(below, above, weight_y[y - top], weight_x[x - left]);
        }
    };

    Frames dst;
    Rectangle faces[kMaxFaces];

    SRSDK_HD static std::uint8_t mixed(unsigned below, unsigned above, unsigned weight_y,
                                       unsigned weight_x) {
        const unsigned weight = (weight_y * weight_x + 128u) >> 8;
        return static_cast<std::uint8_t>((below * (256u - weight) + above * weight + 128u) >> 8);
    }

    template <int>
    SRSDK_HD void run(const Block& block) const {
        const Rectangle& face = faces[block.z];
        if (block.y >= face.h) return;
        const std::int64_t y = face.top + block.y;
        std::uint8_t* const row = dst.data + y * dst.stride_h;
        std::uint8_t* const begin = row + 3 * face.left;
        const std::int64_t bytes = 3 * face.w;
        // Vectors are those of dst; the first and the last may stick out of the rectangle.
        const int shift = misalignment(begin);
        const std::int64_t at = 16 * (block.x * block.threads + block.thread) - shift;
        if (at >= bytes) return;
        if (face.overlaps == 0 && face.stride_w == 3 && face.stride_c == 1 && at >= 0 &&
            at + 16 <= bytes) {
            whole(face, block.y, at, begin + at);
            return;
        }
        const std::int64_t last = smaller<std::int64_t>(at + 16, bytes);
        for (std::int64_t k = larger<std::int64_t>(at, 0); k < last; ++k) {
            const std::int64_t column = divide(k, 3);
            one(static_cast<int>(block.z), y, face.left + column, static_cast<int>(k - 3 * column),
                begin + k);
        }
    }

    SRSDK_HD void whole(const Rectangle& face, std::int64_t y, std::int64_t at,
                        std::uint8_t* to) const {
        const std::uint8_t* const from = face.patch + y * face.stride_h + at;
        const Words below = *reinterpret_cast<const Words*>(to);
        const Words above = sixteen(from, at >= 3 && at + 19 <= 3 * face.w);
        std::int64_t column = divide(at, 3);
        int c = static_cast<int>(at - 3 * column);
        const unsigned weight_y = face.weight_y[y];
        unsigned weight_x = face.weight_x[column];
        Words out{};
        SRSDK_UNROLL
        for (int k = 0; k < 16; ++k) {
            const std::uint32_t a = above.at[k / 4] >> (8 * (k % 4)) & 0xffu;
            const std::uint32_t b = below.at[k / 4] >> (8 * (k % 4)) & 0xffu;
            out.at[k / 4] |= std::uint32_t{mixed(b, a, weight_y, weight_x)} << (8 * (k % 4));
            if (++c == 3 && k < 15) {
                c = 0;
                weight_x = face.weight_x[++column];
            }
        }
        *reinterpret_cast<Words*>(to) = out;
    }

    // 16 bytes at any address. `inside`: the three before and behind them may be read as well.
    SRSDK_HD static Words sixteen(const std::uint8_t* from, bool inside) {
        if (misalignment(from) == 0) return *reinterpret_cast<const Words*>(from);
        Words out{};
        if (inside) {
            const int shift = 8 * (misalignment(from) & 3);
            const auto* const at =
                reinterpret_cast<const std::uint32_t*>(from - (misalignment(from) & 3));
            std::uint32_t words[5];
            SRSDK_UNROLL
            for (int k = 0; k < 4; ++k) words[k] = at[k];
            words[4] = shift ? at[4] : 0;
            SRSDK_UNROLL
            for (int k = 0; k < 4; ++k) {
                const std::uint64_t pair = words[k] | static_cast<std::uint64_t>(words[k + 1])
                                                          << 32;
                out.at[k] = static_cast<std::uint32_t>(pair >> shift);
            }
            return out;
        }
        SRSDK_UNROLL
        for (int k = 0; k < 16; ++k) {
            out.at[k / 4] |= static_cast<std::uint32_t>(from[k]) << (8 * (k % 4));
        }
        return out;
    }

    SRSDK_HD void one(int face, std::int64_t y, std::int64_t x, int c, std::uint8_t* to) const {
        for (int g = 0; g < face; ++g) {
            if ((faces[face].overlaps >> g & 1u) && faces[g].covers(y, x)) return;  // g owns it
        }
        std::uint8_t value = faces[face].laid_over(*to, y, x, c);
        for (int g = face + 1; g < kMaxFaces && faces[face].overlaps >> g; ++g) {
            if ((faces[face].overlaps >> g & 1u) && faces[g].covers(y, x)) {
                value = faces[g].laid_over(value, y, x, c);
            }
        }
        *to = value;
    }
};

// What of a face is inside dst; false: nothing.
inline bool visible(const Frames& dst, const Face& face, Blend::Rectangle& out) {
    const ConstFrames& patch = face.patch;
    // Before any arithmetic on them: top and left may be as large as an integer gets.
    if (face.top >= dst.h || face.left >= dst.w || face.top <= -patch.h || face.left <= -patch.w) {
        return false;
    }
    const std::int64_t y = larger<std::int64_t>(0, -face.top);
    const std::int64_t x = larger<std::int64_t>(0, -face.left);
    out.patch = patch.data + y * patch.stride_h + x * patch.stride_w;
    out.stride_h = patch.stride_h;
    out.stride_w = patch.stride_w;
    out.stride_c = patch.stride_c;
    out.weight_y = face.weight_y + y;
    out.weight_x = face.weight_x + x;
    out.top = face.top + y;
    out.left = face.left + x;
    out.h = smaller(patch.h, dst.h - face.top) - y;
    out.w = smaller(patch.w, dst.w - face.left) - x;
    out.overlaps = 0;
    return out.h > 0 && out.w > 0;
}

template <typename Launch>
void blend_with(const Frames& dst, const Face* faces, std::int64_t count, const Launch& launch) {
    for (std::int64_t face = 0; face < count;) {
        Blend op{};
        op.dst = dst;
        int n = 0;
        Extent blocks{0, 0, 0};
        std::int64_t widest = 0;
        for (; face < count && n < Blend::kMaxFaces; ++face) {
            Blend::Rectangle& added = op.faces[n];
            if (!visible(dst, faces[face], added)) continue;
            for (int g = 0; g < n; ++g) {
                Blend::Rectangle& other = op.faces[g];
                if (added.top < other.top + other.h && other.top < added.top + added.h &&
                    added.left < other.left + other.w && other.left < added.left + added.w) {
                    added.overlaps |= 1u << g;
                    other.overlaps |= 1u << n;
                }
            }
            const std::int64_t vectors = (3 * added.w + 15 + 15) / 16;  // at any alignment
            widest = larger(widest, vectors);
            blocks.y = larger(blocks.y, added.h);
            ++n;
        }
        if (n == 0) continue;
        blocks.z = n;
        // No wider than the widest rectangle: idle warps keep others away.
        const int threads =
            static_cast<int>(smaller<std::int64_t>(Blend::kThreads, (widest + 31) & ~31));
        blocks.x = (widest - 1) / threads + 1;
        launch(op, blocks, threads, 0);
    }
}

}  // namespace srsdk::cuda
