// What chain.h moves between device memory and a tile in shared memory: frames and activations.
#pragma once

#include "chain_layout.h"
#include "spans.h"
#include "warp.h"

namespace srsdk::cuda {

// Where a tile lies: its image of the batch, and its first pixel there.
struct TilePosition {
    int n, x, y;
};

SRSDK_HD TilePosition tile_position(const Segment& seg, const Thread& thread) {
    const int row = thread.block / seg.across, n = row / seg.down;
    return {n, (thread.block - row * seg.across) * seg.tile_w, (row - n * seg.down) * seg.tile_h};
}

// The tile of the frame with `margin` more on each side; outside of the image there is 0, or
// the nearest pixel.
SRSDK_HD void load_frame(const Segment& seg, int to, int margin, bool clamped,
                         const TilePosition& at, const Thread& thread) {
    constexpr int kBatch = 4;  // pixels of a thread on their way at a time
    // One column more: it meets the weights of a fourth tap, which are 0 and must stay so.
    const int columns = seg.tile_w + 2 * margin + 1, rows = seg.tile_h + 2 * margin;
    const int total = rows * columns;
    const std::uint8_t* const image = seg.in.data + at.n * seg.in.stride_n;
    for (int begin = thread.index(); begin < total; begin += kBatch * thread.count()) {
        std::uint32_t pixel[kBatch][3];
        SRSDK_UNROLL
        for (int k = 0; k < kBatch; ++k) {
            const int item = smaller(begin + k * thread.count(), total - 1);
            const int row = item / columns;
            const int x = at.x - margin + item - row * columns, y = at.y - margin + row;
            const int inside_x = larger(0, smaller(x, seg.w - 1));
            const int inside_y = larger(0, smaller(y, seg.h - 1));
            const std::uint8_t* const from =
                image + inside_y * seg.in.stride_h + inside_x * seg.in.stride_w;
            const bool there = clamped || (x == inside_x && y == inside_y);
            SRSDK_UNROLL
            for (int c = 0; c < 3; ++c) pixel[k][c] = there ? from[c * seg.in.stride_c] : 0u;
        }
        SRSDK_UNROLL
        for (int k = 0; k < kBatch; ++k) {
            const int item = begin + k * thread.count();
            if (item >= total) break;
            const int row = item / columns, column = item - row * columns;
            std::uint32_t bits[3];
            SRSDK_UNROLL
            for (int c = 0; c < 3; ++c) {
                // Exact: 8 bits of a float16's 11.
                bits[c] = narrow<Half>(static_cast<float>(pixel[k][c]) * (1.0f / 256));
            }
            auto* const words = reinterpret_cast<std::uint32_t*>(
                thread.shared + to + (row * seg.frame_pitch + column) * 8);
            words[0] = bits[0] | bits[1] << 16;
            words[1] = bits[2];
        }
    }
}

SRSDK_HD std::int64_t plane_bytes(const Segment& seg) { return std::int64_t{16} * seg.h * seg.w; }

template <int kPlanes>
SRSDK_HD void load_tensor(const Segment& seg, const Buffer& to, int margin, const TilePosition& at,
                          const Thread& thread) {
    const int columns = seg.tile_w + 2 * margin, rows = seg.tile_h + 2 * margin;
    for (int plane = 0; plane < kPlanes; ++plane) {
        const unsigned char* const from =
            seg.source + (std::int64_t{at.n} * kPlanes + plane) * plane_bytes(seg);
        for (int item = thread.index(); item < rows * columns; item += thread.count()) {
            const int row = item / columns, column = item - row * columns;
            const int x = at.x - margin + column, y = at.y - margin + row;
            Words words{};
            if (x >= 0 && x < seg.w && y >= 0 && y < seg.h) {
                words =
                    *reinterpret_cast<const Words*>(from + (std::int64_t{16} * y * seg.w + 16 * x));
            }
            *reinterpret_cast<Words*>(thread.shared + to.at(plane, row * seg.pitch + column)) =
                words;
        }
    }
}

template <int kPlanes>
SRSDK_HD void store_tensor(const Segment& seg, const Buffer& from, const TilePosition& at,
                           const Thread& thread) {
    const int columns = smaller(seg.tile_w, seg.w - at.x);
    const int rows = smaller(seg.tile_h, seg.h - at.y);
    for (int plane = 0; plane < kPlanes; ++plane) {
        unsigned char* const to =
            seg.target + (std::int64_t{at.n} * kPlanes + plane) * plane_bytes(seg);
        for (int item = thread.index(); item < rows * columns; item += thread.count()) {
            const int row = item / columns, column = item - row * columns;
            *reinterpret_cast<Words*>(
                to + (std::int64_t{16} * (at.y + row) * seg.w + 16 * (at.x + column))) =
                *reinterpret_cast<const Words*>(thread.shared +
                                                from.at(plane, row * seg.pitch + column));
        }
    }
}

SRSDK_HD void store_frame(const Segment& seg, int staged, const TilePosition& at,
                          const Thread& thread) {
    const int r = seg.shuffle;
    const int rows = smaller(seg.tile_h, seg.h - at.y) * r;
    const int bytes = smaller(seg.tile_w, seg.w - at.x) * 3 * r;
    Block lanes{};  // a warp for each row
    lanes.thread = thread.lane;
    lanes.threads = 32;
    for (int row = thread.warp; row < rows; row += thread.warps) {
        copy_out(seg.out.data + at.n * seg.out.stride_n +
                     (std::int64_t{at.y} * r + row) * seg.out.stride_h + std::int64_t{3} * r * at.x,
                 thread.shared + staged + row * seg.staged_pitch, bytes, lanes);
    }
}

}  // namespace srsdk::cuda
