#include "srsdk/blend.h"

#include <algorithm>
#include <vector>

#include "rows.h"
#include "scratch.h"
#include "threads.h"

namespace srsdk::cpu {

void blend(const Frames& dst, const ConstFrames& patch, std::int64_t top, std::int64_t left,
           const std::uint16_t* weight_y, const std::uint16_t* weight_x, int threads) {
    // Before any arithmetic on them: top and left may be as large as an integer gets.
    if (top >= dst.h || left >= dst.w || top <= -patch.h || left <= -patch.w) return;
    const std::int64_t y0 = std::max<std::int64_t>(0, -top), y1 = std::min(patch.h, dst.h - top);
    const std::int64_t x0 = std::max<std::int64_t>(0, -left), x1 = std::min(patch.w, dst.w - left);
    const std::int64_t w = x1 - x0;

    std::vector<std::uint16_t> weights(static_cast<std::size_t>(3 * w));
    for (std::int64_t i = 0; i < 3 * w; ++i) {
        weights[static_cast<std::size_t>(i)] = weight_x[x0 + i / 3];
    }
    const int team = team_size(y1 - y0, (y1 - y0) * w * 9, threads);
    const std::int64_t scratch_size = contiguous_pixels(patch) ? 0 : 3 * w;
    std::vector<std::uint8_t> scratch(static_cast<std::size_t>(scratch_size * team));
    const Rows& table = rows();

    for_rows(y1 - y0, team, [&](int slot, std::int64_t begin, std::int64_t end) {
        for (std::int64_t y = y0 + begin; y < y0 + end; ++y) {
            BlendRow row;
            row.dst = dst.data + (top + y) * dst.stride_h + (left + x0) * 3;
            row.patch = contiguous_row(patch, patch.data + y * patch.stride_h + x0 * patch.stride_w,
                                       w, scratch.data() + slot * scratch_size);
            row.weight_x = weights.data();
            row.weight_y = weight_y[y];
            row.w = w;
            table.blend(row);
        }
    });
}

}  // namespace srsdk::cpu
