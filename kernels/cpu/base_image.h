// The base image of pack, half-way interpolated: per output row, the two low-resolution rows that
// it lies between, each stretched to the output's width. The row function mixes the two.
#pragma once

#include <cstdint>
#include <vector>

#include "rows.h"
#include "srsdk/pack.h"

namespace srsdk::cpu {

// One thread's view of the base. Positions are counted in units of 1 / (2 * scale) low-resolution
// pixels: output column X lies at 2 * X + 1 - scale, so that all weights are integers and the
// value is an integer over (2 * scale)^2, exact in float32.
class BaseRows {
 public:
    // `w` and `r` are pack's: the base of r * w columns from image.left on.
    BaseRows(const BaseImage& image, std::int64_t w, int r);

    // Fill in the base of output row `y` (counted in dst) of frame `n`.
    void describe(std::int64_t n, std::int64_t y, PackRow& row);

 private:
    struct Position {
        std::int64_t index;  // of the pixel before; may be -1
        int weight;          // of the pixel after
    };
    Position locate(std::int64_t coordinate) const;
    const std::int16_t* line(std::int64_t n, std::int64_t row, int c);
    void load(std::int64_t n, std::int64_t row);
    void stretch(std::int64_t n, std::int64_t above, std::int64_t below);

    const BaseImage& image_;
    const Rows& table_;
    std::int64_t w_;
    int r_, full_weight_;
    float unit_;
    std::int64_t first_ = 0, columns_ = 0;  // low-resolution columns kept in a line
    std::int64_t line_pitch_, base_pitch_;
    std::int64_t loaded_[2] = {-1, -1};     // rows in lines_, even and odd, counted over all frames
    std::int64_t stretched_[2] = {-1, -1};  // rows in base_
    std::vector<std::int16_t> lines_;       // (2, 3, line_pitch)
    std::vector<std::int16_t> base_;        // (3, r, base_pitch, 2)
    std::vector<std::uint8_t> pixels_;      // a contiguous copy of a row, where it is not
};

}  // namespace srsdk::cpu
