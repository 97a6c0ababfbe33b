// Rows of frames whose pixels are not contiguous, made so: the row functions know no strides.
#pragma once

#include <cstdint>

#include "srsdk/views.h"

namespace srsdk::cpu {

inline bool contiguous_pixels(const ConstFrames& frames) {
    return frames.stride_w == 3 && frames.stride_c == 1;
}

// The w pixels at `src`: themselves where they are contiguous, else a copy in `scratch`
// (3 * w bytes).
inline const std::uint8_t* contiguous_row(const ConstFrames& frames, const std::uint8_t* src,
                                          std::int64_t w, std::uint8_t* scratch) {
    if (contiguous_pixels(frames)) return src;
    for (std::int64_t x = 0; x < w; ++x) {
        for (int c = 0; c < 3; ++c) {
            scratch[3 * x + c] = src[x * frames.stride_w + c * frames.stride_c];
        }
    }
    return scratch;
}

}  // namespace srsdk::cpu
