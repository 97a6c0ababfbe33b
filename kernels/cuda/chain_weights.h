// Weights of chain.h as a warp holds them while it walks down a column of pixels.
#pragma once

#include "portable.h"

namespace srsdk::cuda {

// Weights of some output channels, in the registers of one lane. kTaps: taps along a row that the
// hidden input has (0: it has none), kCentre: it has one tap in all, kFrame: the frame comes in as
// well.
template <int kPlanes, int kTaps, bool kCentre, bool kFrame, int kTiles>
struct LaneWeights {
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

}  // namespace srsdk::cuda
