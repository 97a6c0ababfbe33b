// What chain.h does with the sums of a convolution: store activations, or bytes of the frame.
#pragma once

#include "chain_layout.h"
#include "pack.h"
#include "warp.h"

namespace srsdk::cuda {

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
            unsigned char* const bytes =
                thread.shared + to + row * seg.shuffle * seg.staged_pitch + 8 * k * 3 * seg.shuffle;
            if (seg.shuffle % 4 == 0) {
                *reinterpret_cast<std::uint32_t*>(bytes) = word;
            } else {
                SRSDK_UNROLL
                for (int byte = 0; byte < 4; ++byte) {
                    if (byte < count) bytes[byte] = static_cast<unsigned char>(word >> (8 * byte));
                }
            }
        }
    }
};

}  // namespace srsdk::cuda
