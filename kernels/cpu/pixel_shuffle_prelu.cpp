// No row functions of its own in the tables of rows.h: this is the twin of a CUDA kernel, for
// tests and for those without a GPU. Runtimes on a CPU fuse bias and PReLU into the convolution.
#include "srsdk/pixel_shuffle_prelu.h"

#include "half.h"
#include "threads.h"

namespace srsdk::cpu {
namespace {

float widen(float value) { return value; }
float widen(std::uint16_t value) { return half_to_float(value); }
void narrow(float value, float& out) { out = value; }
void narrow(float value, std::uint16_t& out) { out = round_to_half(value); }

template <typename T>
void shuffle(const Planes& dst, const ConstPlanes& src, int r, const float* bias,
             const float* slope, bool one_slope, int threads) {
    const std::int64_t row_count = dst.n * dst.c * dst.h;
    const int team = team_size(row_count, 2 * row_count * dst.w * itemsize(dst.dtype), threads);
    for_rows(row_count, team, [&](int, std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t y = row % dst.h, c = row / dst.h % dst.c, n = row / dst.h / dst.c;
            T* const out = static_cast<T*>(
                advance(dst.data, n * dst.stride_n + c * dst.stride_c + y * dst.stride_h));
            const float factor = slope[one_slope ? 0 : c];
            for (int j = 0; j < r; ++j) {
                const std::int64_t plane = (c * r + y % r) * r + j;
                const float offset = bias ? bias[plane] : 0.0f;
                const T* const in = static_cast<const T*>(advance(
                    src.data, n * src.stride_n + plane * src.stride_c + y / r * src.stride_h));
                for (std::int64_t x = 0; x < src.w; ++x) {
                    const float value = widen(in[x]) + offset;
                    narrow(value > 0.0f ? value : value * factor, out[x * r + j]);
                }
            }
        }
    });
}

}  // namespace

void pixel_shuffle_prelu(const Planes& dst, const ConstPlanes& src, int r, const float* bias,
                         const float* slope, bool one_slope, int threads) {
    (dst.dtype == DType::kFloat32 ? shuffle<float> : shuffle<std::uint16_t>)(dst, src, r, bias,
                                                                             slope, one_slope,
                                                                             threads);
}

}  // namespace srsdk::cpu
