#include "srsdk/pixel_shuffle.h"

#include "rows.h"
#include "threads.h"

namespace srsdk::cpu {

void pixel_shuffle(const Planes& dst, const ConstPlanes& src, int r, int threads) {
    const std::int64_t row_count = dst.n * dst.c * dst.h;
    const int team = team_size(row_count, 2 * row_count * dst.w * itemsize(dst.dtype), threads);
    const Rows& table = rows();
    const auto shuffle_row =
        (dst.dtype == DType::kFloat32 ? table.shuffle_f32 : table.shuffle_f16)[factor_index(r)];

    for_rows(row_count, team, [&](int, std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t y = row % dst.h, c = row / dst.h % dst.c, n = row / dst.h / dst.c;
            const std::int64_t plane = (c * r + y % r) * r;
            ShuffleRow task;
            task.dst = advance(dst.data, n * dst.stride_n + c * dst.stride_c + y * dst.stride_h);
            task.x =
                advance(src.data, n * src.stride_n + plane * src.stride_c + y / r * src.stride_h);
            task.stride_j = src.stride_c;
            task.w = src.w;
            shuffle_row(task);
        }
    });
}

}  // namespace srsdk::cpu
