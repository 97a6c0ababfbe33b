// The convolutions of chain.h: a warp walks down a column of 16 pixels.
#pragma once

#include "chain_layout.h"
#include "chain_weights.h"
#include "warp.h"

namespace srsdk::cuda {

// Lanes 0 to 15 point at pixels of one plane, the others at those of the next.
SRSDK_HD int lane_offset(const Buffer& buffer, const Thread& thread) {
    return (thread.lane & 15) * 16 + (thread.lane >> 4) * buffer.plane;
}
SRSDK_HD int frame_offset(const Thread& thread) {
    return thread.lane / 4 * 8 + thread.lane % 4 * 4;
}

// Adds one row of the input to the three rows of the output that it touches: the oldest, the middle
// and the newest, each only where it is wanted (kAll: all three are).
template <bool kAll, int kPlanes, int kTaps, bool kCentre, bool kFrame, int kOut>
SRSDK_HD void add_row(const LaneWeights<kPlanes, kTaps, kCentre, kFrame, kOut>& weights,
                      float (&sums)[3][kOut][4], int hidden, int plane, int frame, bool oldest,
                      bool middle, bool newest, const Thread& thread) {
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

// Computes `rows` rows of one column of 16 pixels: walks down the input, and calls store(row, sums)
// for each row of the output. `hidden` and `frame` are offsets of this lane's inputs, one row above
// the first row of the output; `plane` is the distance from one plane of `hidden` to the next.
template <int kPlanes, int kTaps, bool kCentre, bool kFrame, int kOut, typename Store>
SRSDK_HD void walk(const Segment& seg,
                   const LaneWeights<kPlanes, kTaps, kCentre, kFrame, kOut>& weights, int hidden,
                   int plane, int frame, int rows, const Thread& thread, const Store& store) {
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

}  // namespace srsdk::cuda
