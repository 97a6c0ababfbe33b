#include "base_image.h"

#include <algorithm>

#include "scratch.h"

namespace srsdk::cpu {
namespace {

// Rows begin on cache lines: unaligned wide stores cost the horizontal half a third of its speed.
constexpr std::int64_t kLine = 64 / sizeof(std::int16_t);

std::int64_t whole_lines(std::int64_t count) { return (count + kLine - 1) / kLine * kLine; }

std::int16_t* aligned(std::vector<std::int16_t>& buffer) {
    const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(buffer.data());
    return buffer.data() + (64 - at % 64) % 64 / sizeof(std::int16_t);
}

}  // namespace

BaseRows::BaseRows(const BaseImage& image, std::int64_t w, int r)
    : image_(image), table_(rows()), w_(w), r_(r) {
    const bool bilinear = image.kind == Base::kBilinear;
    full_weight_ = bilinear ? 2 * image.scale : 1;
    unit_ = static_cast<float>(1.0 / (double{1} * full_weight_ * full_weight_));
    first_ = locate(image.left).index;
    columns_ = locate(image.left + w * r - 1).index + 2 - first_;
    line_pitch_ = whole_lines(columns_ + kPadding);
    base_pitch_ = whole_lines(w + kPadding);
    lines_.resize(static_cast<std::size_t>(2 * 3 * line_pitch_ + kLine));
    base_.resize(static_cast<std::size_t>(3 * r * base_pitch_ * 2 + kLine));
    if (!contiguous_pixels(image.lr)) pixels_.resize(static_cast<std::size_t>(3 * columns_));
}

BaseRows::Position BaseRows::locate(std::int64_t coordinate) const {
    const std::int64_t scale = image_.scale;
    if (image_.kind == Base::kNearest) return {coordinate / scale, 0};
    const std::int64_t position = 2 * coordinate + 1 + scale;  // one pixel on: never negative
    return {position / (2 * scale) - 1, static_cast<int>(position % (2 * scale))};
}

void BaseRows::describe(std::int64_t n, std::int64_t y, PackRow& row) {
    const Position at = locate(image_.top + y);
    const std::int64_t last = image_.lr.h - 1;
    stretch(n, std::clamp<std::int64_t>(at.index, 0, last),
            std::clamp<std::int64_t>(at.index + 1, 0, last));
    row.base = aligned(base_);
    row.base_pitch = base_pitch_;
    row.weight_above = static_cast<std::int16_t>(full_weight_ - at.weight);
    row.weight_below = static_cast<std::int16_t>(at.weight);
    row.base_unit = unit_;
}

// Rows above and below are neighbours or one and the same, so that a place for the even ones and
// one for the odd ones hold both, and going down the image loads each row once.
const std::int16_t* BaseRows::line(std::int64_t n, std::int64_t row, int c) {
    const std::int64_t parity = row & 1, key = n * image_.lr.h + row;
    if (loaded_[parity] != key) {
        load(n, row);
        loaded_[parity] = key;
    }
    return aligned(lines_) + (parity * 3 + c) * line_pitch_;
}

void BaseRows::load(std::int64_t n, std::int64_t row) {
    const ConstFrames& lr = image_.lr;
    const std::int64_t begin = std::max<std::int64_t>(first_, 0);
    const std::int64_t end = std::min(first_ + columns_, lr.w);
    const std::uint8_t* pixels =
        contiguous_row(lr, lr.data + n * lr.stride_n + row * lr.stride_h + begin * lr.stride_w,
                       end - begin, pixels_.data());
    std::int16_t* lines[3];
    std::int16_t* inside[3];
    for (int c = 0; c < 3; ++c) {
        lines[c] = aligned(lines_) + ((row & 1) * 3 + c) * line_pitch_;
        inside[c] = lines[c] + (begin - first_);
    }
    table_.split(inside, pixels, end - begin);
    for (int c = 0; c < 3; ++c) {  // the image's edge goes on outside it
        for (std::int64_t x = first_; x < begin; ++x) lines[c][x - first_] = inside[c][0];
        for (std::int64_t x = end; x < first_ + columns_; ++x) {
            lines[c][x - first_] = lines[c][end - 1 - first_];
        }
    }
}

void BaseRows::stretch(std::int64_t n, std::int64_t above, std::int64_t below) {
    const std::int64_t key_above = n * image_.lr.h + above, key_below = n * image_.lr.h + below;
    if (stretched_[0] == key_above && stretched_[1] == key_below) return;
    stretched_[0] = key_above;
    stretched_[1] = key_below;
    const std::int64_t step = image_.scale / r_;  // columns of x after which the weights repeat
    for (int c = 0; c < 3; ++c) {
        const std::int16_t* line_above = line(n, above, c);
        const std::int16_t* line_below = line(n, below, c);
        for (int j = 0; j < r_; ++j) {
            for (std::int64_t x = 0; x < std::min(step, w_); ++x) {
                const Position at = locate(image_.left + x * r_ + j);
                BaseRow row;
                row.out = aligned(base_) + 2 * ((c * r_ + j) * base_pitch_ + x);
                row.above = line_above + (at.index - first_);
                row.below = line_below + (at.index - first_);
                row.n = (w_ - x + step - 1) / step;
                row.step = step;
                row.left = static_cast<std::int16_t>(full_weight_ - at.weight);
                row.right = static_cast<std::int16_t>(at.weight);
                table_.base(row);
            }
        }
    }
}

}  // namespace srsdk::cpu
