// A chain of 3x3 convolutions on tensor cores: what one block does to one tile.
//
//     frame (u8) -> first convolution -> hidden convolutions -> last convolution, base, u8 frame
//
// A launch runs some of these in a row (a Segment). The tile's activations stay in shared memory,
// in two buffers that take turns as input and output; each layer computes its part of the halo that
// the layers after it still need. Between launches activations lie in device memory.
//
// Activations are float16 in planes of 8 channels, 16 bytes a pixel, in shared memory and outside:
// eight pixels in a row are 128 bytes, so that no two lanes of an ldmatrix or of a store meet in a
// bank. A convolution is a matrix product of 16 pixels of a row with the weights of a tap: a warp
// keeps all weights of its output channels in registers and walks down a column of tiles; each row
// of the input is loaded once, and added to the three rows of the output that it touches.
//
// The frame is laid down as float16, value / 256, four channels a pixel (the fourth is 0), so that
// three pixels in a row are one matrix of depth 16. The base image is a 3x3 convolution of the
// frame, too (its weights are multiples of 1 / (2 * scale)^2): the last layer adds it on tensor
// cores, exactly where the scale is a power of two. Its weights are times 255: the sum is the grey
// level.
#pragma once

#include "chain_epilogue.h"
#include "chain_rows.h"
#include "chain_tile.h"
#include "srsdk/cuda.h"

namespace srsdk::cuda {

template <int kPlanes>
struct Chain {
    static constexpr int kThreads = chain_threads(kPlanes), kTiles = chain_tiles(kPlanes);
    static constexpr int kSlices = kPlanes / kTiles;

    const Segment& seg;

    SRSDK_HD void run(const Thread& thread) const {
        const TilePosition at = tile_position(seg, thread);
        Buffer input = seg.buffers[0], output = seg.buffers[1];
        int margin = seg.margin;  // of what is in `input`
        if (seg.first) {
            load_frame(seg, output.offset, margin + 1, false, at, thread);
            sync(thread);
            first(input, output.offset, margin, at, thread);
        } else {
            load_tensor<kPlanes>(seg, input, margin, at, thread);
        }
        const std::uint32_t* weights = seg.weights + seg.first * kFirstWords;
        const float* biases = seg.biases + seg.first * 8 * kPlanes;
        for (int layer = 0; layer < seg.hidden; ++layer) {
            sync(thread);
            hidden(output, input, --margin, weights, biases, at, thread);
            const Buffer other = input;
            input = output;
            output = other;
            weights += kHiddenWords;
            biases += 8 * kPlanes;
        }
        if (!seg.last) {
            sync(thread);
            store_tensor<kPlanes>(seg, input, at, thread);
            return;
        }
        sync(thread);
        load_frame(seg, output.offset, 1, true, at, thread);
        sync(thread);
        const int staged = output.offset + seg.frame_bytes;
        if (seg.last_size == 3) {
            last<3, false>(staged, input, output.offset, weights, biases, thread);
        } else {
            last<1, true>(staged, input, output.offset, weights, biases, thread);
        }
        sync(thread);
        store_frame(seg, staged, tile_position(seg, thread), thread);
    }

    // All rows of all columns of 16 pixels for all slices of output channels, in equal shares for
    // the warps: visit(slice, column, row, rows).
    template <typename Visit>
    SRSDK_HD static void share(int slices, int columns, int rows, const Thread& thread,
                               const Visit& visit) {
        const int total = slices * columns * rows;
        int at = static_cast<int>(std::int64_t{total} * thread.warp / thread.warps);
        const int end = static_cast<int>(std::int64_t{total} * (thread.warp + 1) / thread.warps);
        while (at < end) {
            const int strip = at / rows, row = at - strip * rows;
            const int slice = strip / columns;
            const int count = smaller(rows - row, end - at);
            visit(slice, strip - slice * columns, row, count);
            at += count;
        }
    }

    SRSDK_HD int columns(int margin) const { return (seg.tile_w + 2 * margin + 15) / 16; }

    SRSDK_HD Rectified<kTiles> rectified(const Buffer& out, int margin, int slice, int column,
                                         int row, const TilePosition& at,
                                         const Thread& thread) const {
        const int x = at.x - margin + 16 * column + thread.lane / 4;
        const int pixel = row * seg.pitch + 16 * column + thread.lane / 4;
        return {seg,
                thread,
                out.at(slice * kTiles, pixel) + thread.lane % 4 * 4,
                out.plane,
                at.y - margin + row,
                {x >= 0 && x < seg.w ? ~0u : 0u, x + 8 >= 0 && x + 8 < seg.w ? ~0u : 0u}};
    }

    static constexpr int kFirstWords = first_words(kPlanes);
    static constexpr int kHiddenWords = hidden_words(kPlanes);

    SRSDK_HD void first(const Buffer& out, int frame, int margin, const TilePosition& at,
                        const Thread& thread) const {
        LaneWeights<kPlanes, 0, false, true, kTiles> weights{};
        int loaded = -1;
        share(kSlices, columns(margin), seg.tile_h + 2 * margin, thread,
              [&](int slice, int column, int row, int rows) {
                  if (slice != loaded) {
                      weights.load(seg.weights + slice * (kFirstWords / kSlices),
                                   seg.biases + slice * 8 * kTiles, thread.lane);
                      loaded = slice;
                  }
                  walk(seg, weights, 0, 0,
                       frame + (row * seg.frame_pitch + 16 * column) * 8 + frame_offset(thread),
                       rows, thread, rectified(out, margin, slice, column, row, at, thread));
              });
    }

    SRSDK_HD void hidden(const Buffer& out, const Buffer& in, int margin,
                         const std::uint32_t* words, const float* biases, const TilePosition& at,
                         const Thread& thread) const {
        LaneWeights<kPlanes, 3, false, false, kTiles> weights{};
        int loaded = -1;
        share(kSlices, columns(margin), seg.tile_h + 2 * margin, thread,
              [&](int slice, int column, int row, int rows) {
                  if (slice != loaded) {
                      weights.load(words + slice * (kHiddenWords / kSlices),
                                   biases + slice * 8 * kTiles, thread.lane);
                      loaded = slice;
                  }
                  walk(seg, weights,
                       in.at(0, row * seg.pitch + 16 * column) + lane_offset(in, thread), in.plane,
                       0, rows, thread, rectified(out, margin, slice, column, row, at, thread));
              });
    }

    template <int kSize, bool kCentre>
    SRSDK_HD void last(int staged, const Buffer& in, int frame, const std::uint32_t* words,
                       const float* biases, const Thread& thread) const {
        LaneWeights<kPlanes, kSize, kCentre, true, kLastTiles> weights{};
        int loaded = -1;
        constexpr int kSliceWords = last_words(kPlanes, kSize);
        share(last_slices(seg.shuffle), columns(0), seg.tile_h, thread,
              [&](int slice, int column, int row, int rows) {
                  if (slice != loaded) {
                      weights.load(words + slice * kSliceWords, biases + slice * 8 * kLastTiles,
                                   thread.lane);
                      loaded = slice;
                  }
                  const int r = seg.shuffle;
                  const LastBytes where = last_bytes(r, thread.lane % 4, slice);
                  const Quantised store{seg, thread,
                                        staged + (row * r + where.row) * seg.staged_pitch +
                                            (16 * column + thread.lane / 4) * 3 * r + where.byte,
                                        where.count};
                  // walk begins one row above the output: the input of a 3x3 convolution has that
                  // row, the input of a 1x1 convolution begins with the output's first row.
                  const int above = kCentre ? 1 : 0;
                  walk(seg, weights,
                       in.at(0, (row - above) * seg.pitch + 16 * column) + lane_offset(in, thread),
                       in.plane,
                       frame + (row * seg.frame_pitch + 16 * column) * 8 + frame_offset(thread),
                       rows, thread, store);
              });
    }
};

}  // namespace srsdk::cuda
