#include "srsdk/pack.h"

#include <vector>

#include "base_image.h"
#include "rows.h"
#include "threads.h"

namespace srsdk::cpu {

void pack(const Frames& dst, const ConstPlanes& x, int r, const BaseImage& base, bool swap_rb,
          int threads) {
    const std::int64_t row_count = x.n * x.h;
    if (row_count == 0 || x.w == 0) return;
    const int team =
        team_size(row_count, row_count * x.w * 3 * r * r * (itemsize(x.dtype) + 1), threads);
    const Rows& table = rows();
    const auto pack_row =
        (x.dtype == DType::kFloat32 ? table.pack_f32 : table.pack_f16)[factor_index(r)];

    std::vector<BaseRows> bases;
    if (base.kind != Base::kNone) {
        bases.reserve(static_cast<std::size_t>(team));
        for (int slot = 0; slot < team; ++slot) bases.emplace_back(base, x.w, r);
    }

    const std::int64_t stride_c = r * r * x.stride_c;
    for_rows(row_count, team, [&](int slot, std::int64_t begin, std::int64_t end) {
        for (std::int64_t in = begin; in < end; ++in) {
            const std::int64_t n = in / x.h, y = in % x.h;
            for (int i = 0; i < r; ++i) {
                PackRow row{};
                row.dst = dst.data + n * dst.stride_n + (y * r + i) * dst.stride_h;
                row.x = advance(x.data, n * x.stride_n + y * x.stride_h + i * r * x.stride_c +
                                            (swap_rb ? 2 * stride_c : 0));
                row.stride_c = swap_rb ? -stride_c : stride_c;
                row.stride_j = x.stride_c;
                row.w = x.w;
                if (!bases.empty()) {
                    bases[static_cast<std::size_t>(slot)].describe(n, y * r + i, row);
                }
                pack_row(row);
            }
        }
    });
}

}  // namespace srsdk::cpu
