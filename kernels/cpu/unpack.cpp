#include "srsdk/unpack.h"

#include <vector>

#include "rows.h"
#include "scratch.h"
#include "threads.h"

namespace srsdk::cpu {

void unpack(const Planes& dst, const ConstFrames& src_as_given, bool swap_rb, int threads) {
    ConstFrames src = src_as_given;
    if (src.stride_w == 3 &&
        src.stride_c == -1) {  // frame[..., ::-1], channels reversed by its strides
        src.data -= 2;
        src.stride_c = 1;
        swap_rb = !swap_rb;
    }
    const std::int64_t row_count = src.n * src.h;
    const int team =
        team_size(row_count, row_count * src.w * 3 * (1 + itemsize(dst.dtype)), threads);
    const Rows& table = rows();
    const std::int64_t scratch_size = contiguous_pixels(src) ? 0 : 3 * src.w;
    std::vector<std::uint8_t> scratch(static_cast<std::size_t>(scratch_size * team));

    for_rows(row_count, team, [&](int slot, std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t n = row / src.h, y = row % src.h;
            const std::uint8_t* pixels =
                contiguous_row(src, src.data + n * src.stride_n + y * src.stride_h, src.w,
                               scratch.data() + slot * scratch_size);
            void* out[3];
            for (int c = 0; c < 3; ++c) {
                out[swap_rb ? 2 - c : c] =
                    advance(dst.data, n * dst.stride_n + c * dst.stride_c + y * dst.stride_h);
            }
            if (dst.dtype == DType::kFloat32) {
                float* const planes[3] = {static_cast<float*>(out[0]), static_cast<float*>(out[1]),
                                          static_cast<float*>(out[2])};
                table.unpack_f32(planes, pixels, src.w);
            } else {
                std::uint16_t* const planes[3] = {static_cast<std::uint16_t*>(out[0]),
                                                  static_cast<std::uint16_t*>(out[1]),
                                                  static_cast<std::uint16_t*>(out[2])};
                table.unpack_f16(planes, pixels, src.w);
            }
        }
    });
}

}  // namespace srsdk::cpu
