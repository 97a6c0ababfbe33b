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

#include "chain_layout.h"
#include "pack.h"
#include "spans.h"
#include "srsdk/cuda.h"
#include "warp.h"

namespace srsdk::cuda {

// What a warp multiplies with: registers of one lane. kTaps: taps along a row that the hidden input
// has (0: it has none), kCentre: it has one tap in all, kFrame: the frame comes in as well.
template <int kPlanes, int kTaps, bool kCentre, bool kFrame, int kTiles>
struct Weights {
    static constexpr int kRows = kCentre ? 1 : 3;
    std::uint32_t hidden[kRows][kTaps > 0 ? kTaps : 1][kPlanes][kTiles];
    std::uint32_t frame[3][2][kTiles];
    float bias[kTiles][2];

    // In the order in which chain_plan.cpp writes them.
    SRSDK_HD void load(const std::uint32_t* from, const float* biases, int lane) {
        from += lane;
        if constexpr (kTaps > 0) {
            SRSDK_UNROLL
            for (int dy = 0; dy < kRows; ++dy) {
                SRSDK_UNROLL
                for (int dx = 0; dx < kTaps; ++dx) {
                    SRSDK_UNROLL
                    for (int plane = 0; plane < kPlanes; ++plane) {
                        SRSDK_UNROLL
                        for (int tile = 0; tile < kTiles; ++tile, from += 32)
                            hidden[dy][dx][plane][tile] = *from;
                    }
                }
            }
        }
        if constexpr (kFrame) {
            SRSDK_UNROLL
            for (int dy = 0; dy < 3; ++dy) {
                SRSDK_UNROLL
                for (int half = 0; half < 2; ++half) {
                    SRSDK_UNROLL
                    for (int tile = 0; tile < kTiles; ++tile, from += 32)
                        frame[dy][half][tile] = *from;
                }
            }
        }
        SRSDK_UNROLL
        for (int tile = 0; tile < kTiles; ++tile) {
            bias[tile][0] = biases[8 * tile + 2 * (lane % 4)];
            bias[tile][1] = biases[8 * tile + 2 * (lane % 4) + 1];
        }
    }
};

template <int kPlanes>
struct Chain {
    static constexpr int kThreads = chain_threads(kPlanes), kTiles = chain_tiles(kPlanes);
    static constexpr int kSlices = kPlanes / kTiles;
    template <int kTaps, bool kCentre, bool kFrame, int kOut>
    using Registers = Weights<kPlanes, kTaps, kCentre, kFrame, kOut>;

    const Segment& seg;

    // Where the tile lies, in pixels of the image.
    struct Place {
        int n, x, y;
    };

    SRSDK_HD Place place(const Thread& thread) const {
        const int row = thread.block / seg.across, n = row / seg.down;
        return {n, (thread.block - row * seg.across) * seg.tile_w,
                (row - n * seg.down) * seg.tile_h};
    }

    SRSDK_HD void run(const Thread& thread) const {
        const Place at = place(thread);
        Buffer input = seg.buffers[0], output = seg.buffers[1];
        int margin = seg.margin;  // of what is in `input`
        if (seg.first) {
            load_frame(output.offset, margin + 1, false, at, thread);
            sync(thread);
            first(input, output.offset, margin, at, thread);
        } else {
            load_tensor(input, margin, at, thread);
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
            store_tensor(input, at, thread);
            return;
        }
        sync(thread);
        load_frame(output.offset, 1, true, at, thread);
        sync(thread);
        const int staged = output.offset + seg.frame_bytes;
        if (seg.last_size == 3) {
            last<3, false>(staged, input, output.offset, weights, biases, thread);
        } else {
            last<1, true>(staged, input, output.offset, weights, biases, thread);
        }
        sync(thread);
        store_frame(staged, place(thread), thread);
    }

    // ---- frames and tensors

    // The tile of the frame with `margin` more on each side; outside of the image there is 0, or
    // the nearest pixel.
    SRSDK_HD void load_frame(int to, int margin, bool clamped, const Place& at,
                             const Thread& thread) const {
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

    SRSDK_HD std::int64_t plane_bytes() const { return std::int64_t{16} * seg.h * seg.w; }

    SRSDK_HD void load_tensor(const Buffer& to, int margin, const Place& at,
                              const Thread& thread) const {
        const int columns = seg.tile_w + 2 * margin, rows = seg.tile_h + 2 * margin;
        for (int plane = 0; plane < kPlanes; ++plane) {
            const unsigned char* const from =
                seg.source + (std::int64_t{at.n} * kPlanes + plane) * plane_bytes();
            for (int item = thread.index(); item < rows * columns; item += thread.count()) {
                const int row = item / columns, column = item - row * columns;
                const int x = at.x - margin + column, y = at.y - margin + row;
                Words words{};
                if (x >= 0 && x < seg.w && y >= 0 && y < seg.h) {
                    words = *reinterpret_cast<const Words*>(
                        from + (std::int64_t{16} * y * seg.w + 16 * x));
                }
                *reinterpret_cast<Words*>(thread.shared + to.at(plane, row * seg.pitch + column)) =
                    words;
            }
        }
    }

    SRSDK_HD void store_tensor(const Buffer& from, const Place& at, const Thread& thread) const {
        const int columns = smaller(seg.tile_w, seg.w - at.x);
        const int rows = smaller(seg.tile_h, seg.h - at.y);
        for (int plane = 0; plane < kPlanes; ++plane) {
            unsigned char* const to =
                seg.target + (std::int64_t{at.n} * kPlanes + plane) * plane_bytes();
            for (int item = thread.index(); item < rows * columns; item += thread.count()) {
                const int row = item / columns, column = item - row * columns;
                *reinterpret_cast<Words*>(
                    to + (std::int64_t{16} * (at.y + row) * seg.w + 16 * (at.x + column))) =
                    *reinterpret_cast<const Words*>(thread.shared +
                                                    from.at(plane, row * seg.pitch + column));
            }
        }
    }

    SRSDK_HD void store_frame(int staged, const Place& at, const Thread& thread) const {
        const int r = seg.shuffle;
        const int rows = smaller(seg.tile_h, seg.h - at.y) * r;
        const int bytes = smaller(seg.tile_w, seg.w - at.x) * 3 * r;
        Block lanes{};  // a warp for each row
        lanes.thread = thread.lane;
        lanes.threads = 32;
        for (int row = thread.warp; row < rows; row += thread.warps) {
            copy_out(seg.out.data + at.n * seg.out.stride_n +
                         (std::int64_t{at.y} * r + row) * seg.out.stride_h +
                         std::int64_t{3} * r * at.x,
                     thread.shared + staged + row * seg.staged_pitch, bytes, lanes);
        }
    }

    // ---- layers

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

    // Rows of one column of 16 pixels: walks down the input, and calls store(row, sums) for each
    // row of the output. `hidden`, `frame`: offsets of the first row's input for this lane; -1 rows
    // for the frame beside a 1x1 convolution are the caller's.
    template <int kTaps, bool kCentre, bool kFrame, int kOut, typename Store>
    SRSDK_HD void walk(const Registers<kTaps, kCentre, kFrame, kOut>& weights, int hidden,
                       int plane, int frame, int rows, const Thread& thread,
                       const Store& store) const {
        float sums[3][kOut][4];  // of rows t - 2, t - 1 and t of the output
        SRSDK_UNROLL
        for (int j = 0; j < 3; ++j) {
            SRSDK_UNROLL
            for (int tile = 0; tile < kOut; ++tile) {
                SRSDK_UNROLL
                for (int k = 0; k < 4; ++k) sums[j][tile][k] = 0.0f;
            }
        }
        SRSDK_ROLLED
        for (int t = 0; t < rows + 2; ++t) {
            SRSDK_UNROLL
            for (int tile = 0; tile < kOut; ++tile) {
                SRSDK_UNROLL
                for (int k = 0; k < 4; ++k) sums[2][tile][k] = weights.bias[tile][k & 1];
            }
            if (t >= 2 && t < rows) {
                add_row<true>(weights, sums, hidden, plane, frame, true, true, true, thread);
            } else {
                add_row<false>(weights, sums, hidden, plane, frame, t >= 2, t >= 1 && t <= rows,
                               t < rows, thread);
            }
            if (t >= 2) store(t - 2, sums[0]);
            SRSDK_UNROLL
            for (int tile = 0; tile < kOut; ++tile) {
                SRSDK_UNROLL
                for (int k = 0; k < 4; ++k) {
                    sums[0][tile][k] = sums[1][tile][k];
                    sums[1][tile][k] = sums[2][tile][k];
                }
            }
            hidden += seg.pitch * 16;
            frame += seg.frame_pitch * 8;
        }
    }

    // One row of the input, to the rows of the output that it touches: the oldest, the middle one
    // and the newest, where those are wanted.
    template <bool kAll, int kTaps, bool kCentre, bool kFrame, int kOut>
    SRSDK_HD void add_row(const Registers<kTaps, kCentre, kFrame, kOut>& weights,
                          float (&sums)[3][kOut][4], int hidden, int plane, int frame, bool oldest,
                          bool middle, bool newest, const Thread& thread) const {
        const bool wanted[3] = {oldest, middle, newest};
        if constexpr (kFrame) {
            const auto* const at = reinterpret_cast<const std::uint32_t*>(thread.shared + frame);
            const std::uint32_t a[4] = {at[0], at[16], at[4], at[20]};  // 8 bytes a pixel
            SRSDK_UNROLL
            for (int j = 0; j < 3; ++j) {
                if (!kAll && !wanted[j]) continue;
                SRSDK_UNROLL
                for (int tile = 0; tile < kOut; ++tile) {
                    multiply(sums[j][tile], a, weights.frame[2 - j][0][tile],
                             weights.frame[2 - j][1][tile], thread);
                }
            }
        }
        if constexpr (kTaps > 0) {
            if (kCentre && !kAll && !middle) return;
            SRSDK_UNROLL
            for (int dx = 0; dx < kTaps; ++dx) {
                SRSDK_UNROLL
                for (int p = 0; p + 1 < kPlanes; p += 2) {
                    std::uint32_t a[4];
                    load_matrices(a, hidden + 16 * dx + p * plane, thread);
                    SRSDK_UNROLL
                    for (int j = kCentre ? 1 : 0; j < (kCentre ? 2 : 3); ++j) {
                        if (!kAll && !wanted[j]) continue;
                        SRSDK_UNROLL
                        for (int tile = 0; tile < kOut; ++tile) {
                            const auto& w = weights.hidden[kCentre ? 0 : 2 - j][dx];
                            multiply(sums[j][tile], a, w[p][tile], w[p + 1][tile], thread);
                        }
                    }
                }
                if constexpr (kPlanes % 2 == 1) {
                    std::uint32_t a[2];
                    const int upper = thread.lane >= 16 ? plane : 0;  // see lane_offset
                    load_matrices(a, hidden + 16 * dx + (kPlanes - 1) * plane - upper, thread);
                    SRSDK_UNROLL
                    for (int j = kCentre ? 1 : 0; j < (kCentre ? 2 : 3); ++j) {
                        if (!kAll && !wanted[j]) continue;
                        SRSDK_UNROLL
                        for (int tile = 0; tile < kOut; ++tile) {
                            const auto& w = weights.hidden[kCentre ? 0 : 2 - j][dx];
                            multiply(sums[j][tile], a, w[kPlanes - 1][tile], thread);
                        }
                    }
                }
            }
        }
    }

    // Lanes 0 to 15 point at pixels of one plane, the others at those of the next.
    SRSDK_HD static int lane_offset(const Buffer& buffer, const Thread& thread) {
        return (thread.lane & 15) * 16 + (thread.lane >> 4) * buffer.plane;
    }
    SRSDK_HD static int frame_offset(const Thread& thread) {
        return thread.lane / 4 * 8 + thread.lane % 4 * 4;
    }

    // Stores a row of 16 pixels, rectified; 0 outside of the image, as the next layer's padding.
    template <int kOut>
    struct Rectified {
        const Segment& seg;
        const Thread& thread;
        int to, plane;  // this lane's first word, of the first row; from one tile to the next
        int y;          // of the first row, in the image
        std::uint32_t keep[2];

        SRSDK_HD void operator()(int row, const float (&sums)[kOut][4]) const {
            const std::uint32_t inside = y + row >= 0 && y + row < seg.h ? ~0u : 0u;
            unsigned char* const bytes = thread.shared + to + row * seg.pitch * 16;
            SRSDK_UNROLL
            for (int tile = 0; tile < kOut; ++tile) {
                auto* const words = reinterpret_cast<std::uint32_t*>(bytes + tile * plane);
                words[0] = rectified_pair(sums[tile][0], sums[tile][1]) & keep[0] & inside;
                words[32] = rectified_pair(sums[tile][2], sums[tile][3]) & keep[1] & inside;
            }
        }
    };

    SRSDK_HD Rectified<kTiles> rectified(const Buffer& out, int margin, int slice, int column,
                                         int row, const Place& at, const Thread& thread) const {
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

    SRSDK_HD void first(const Buffer& out, int frame, int margin, const Place& at,
                        const Thread& thread) const {
        Registers<0, false, true, kTiles> weights{};
        int loaded = -1;
        share(kSlices, columns(margin), seg.tile_h + 2 * margin, thread,
              [&](int slice, int column, int row, int rows) {
                  if (slice != loaded) {
                      weights.load(seg.weights + slice * (kFirstWords / kSlices),
                                   seg.biases + slice * 8 * kTiles, thread.lane);
                      loaded = slice;
                  }
                  walk(weights, 0, 0,
                       frame + (row * seg.frame_pitch + 16 * column) * 8 + frame_offset(thread),
                       rows, thread, rectified(out, margin, slice, column, row, at, thread));
              });
    }

    SRSDK_HD void hidden(const Buffer& out, const Buffer& in, int margin,
                         const std::uint32_t* words, const float* biases, const Place& at,
                         const Thread& thread) const {
        Registers<3, false, false, kTiles> weights{};
        int loaded = -1;
        share(kSlices, columns(margin), seg.tile_h + 2 * margin, thread,
              [&](int slice, int column, int row, int rows) {
                  if (slice != loaded) {
                      weights.load(words + slice * (kHiddenWords / kSlices),
                                   biases + slice * 8 * kTiles, thread.lane);
                      loaded = slice;
                  }
                  walk(weights, in.at(0, row * seg.pitch + 16 * column) + lane_offset(in, thread),
                       in.plane, 0, rows, thread,
                       rectified(out, margin, slice, column, row, at, thread));
              });
    }

    // Stores 16 pixels of the low resolution as bytes of the frame's rows.
    struct Quantised {
        const Segment& seg;
        const Thread& thread;
        int to, count;  // this lane's first byte, of the first row; bytes in a row, of four

        SRSDK_HD void operator()(int row, const float (&sums)[kLastTiles][4]) const {
            if (count == 0) return;
            SRSDK_UNROLL
            for (int k = 0; k < 2; ++k) {  // pixels lane / 4 and 8 behind it
                std::uint32_t word = 0;
                SRSDK_UNROLL
                for (int byte = 0; byte < 4; ++byte)
                    word |= quantise(sums[byte / 2][2 * k + byte % 2]) << (8 * byte);
                unsigned char* const bytes = thread.shared + to +
                                             row * seg.shuffle * seg.staged_pitch +
                                             8 * k * 3 * seg.shuffle;
                if (seg.shuffle % 4 == 0) {
                    *reinterpret_cast<std::uint32_t*>(bytes) = word;
                } else {
                    SRSDK_UNROLL
                    for (int byte = 0; byte < 4; ++byte) {
                        if (byte < count)
                            bytes[byte] = static_cast<unsigned char>(word >> (8 * byte));
                    }
                }
            }
        }
    };

    template <int kSize, bool kCentre>
    SRSDK_HD void last(int staged, const Buffer& in, int frame, const std::uint32_t* words,
                       const float* biases, const Thread& thread) const {
        Registers<kSize, kCentre, true, kLastTiles> weights{};
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
                  // The frame has one row more before: so begins a 1x1 convolution one row early.
                  const int above = kCentre ? 1 : 0;
                  walk(weights,
                       in.at(0, (row - above) * seg.pitch + 16 * column) + lane_offset(in, thread),
                       in.plane,
                       frame + (row * seg.frame_pitch + 16 * column) * 8 + frame_offset(thread),
                       rows, thread, store);
              });
    }
};

}  // namespace srsdk::cuda
