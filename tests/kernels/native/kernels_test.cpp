// Every instruction set of this CPU gives the bits of the portable one, without Python: for cross
// builds under an emulator, and for builds with sanitizers. Buffers have exactly the size that is
// needed, so that a sanitizer sees a step too far.
//
//   cmake -S . -B build/native -DSRSDK_PYTHON=OFF -DSRSDK_NATIVE_TEST=ON && cmake --build
//   build/native build/native/kernels_test
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "srsdk/blend.h"
#include "srsdk/isa.h"
#include "srsdk/pack.h"
#include "srsdk/pixel_shuffle.h"
#include "srsdk/unpack.h"

namespace {

using namespace srsdk;
using Bytes = std::vector<std::uint8_t>;

std::mt19937 g_random(7);
int g_compared = 0, g_failed = 0;

Bytes random_bytes(std::int64_t size) {
    Bytes bytes(static_cast<std::size_t>(size));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(g_random());
    return bytes;
}

// Any half bit pattern, NaN and infinities included; floats around [0, 1], some of them wild.
Bytes random_planes(std::int64_t count, DType dtype) {
    if (dtype == DType::kFloat16) return random_bytes(2 * count);
    std::uniform_real_distribution<float> usual(-0.3f, 1.3f);
    const float wild[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 1e-40f, -0.0f, 0.5f / 255};
    Bytes bytes(static_cast<std::size_t>(4 * count));
    for (std::int64_t i = 0; i < count; ++i) {
        const float value = g_random() % 20 ? usual(g_random) : wild[g_random() % 8];
        std::memcpy(bytes.data() + 4 * i, &value, 4);
    }
    return bytes;
}

// Runs `kernel(dst)` with each instruction set and compares what they leave in `dst`.
template <typename Kernel>
void compare(const std::string& what, const Bytes& initial, const Kernel& kernel) {
    const std::string usual = cpu::isa();
    cpu::set_isa("portable");
    Bytes expected = initial;
    kernel(expected.data());
    for (const char* name : {"avx2", "neon"}) {
        if (!cpu::set_isa(name)) continue;
        Bytes got = initial;
        kernel(got.data());
        ++g_compared;
        if (got != expected) {
            ++g_failed;
            std::printf("%s: %s differs from portable\n", what.c_str(), name);
        }
    }
    cpu::set_isa(usual);
}

Planes planes_of(std::uint8_t* data, DType dtype, std::int64_t c, std::int64_t h, std::int64_t w) {
    const std::int64_t row = w * itemsize(dtype);
    return {data, dtype, 1, c, h, w, c * h * row, h * row, row};
}

ConstPlanes constant(const Planes& p) {
    return {p.data, p.dtype, p.n, p.c, p.h, p.w, p.stride_n, p.stride_c, p.stride_h};
}

Frames frames_of(std::uint8_t* data, std::int64_t h, std::int64_t w) {
    return {data, 1, h, w, 3 * h * w, 3 * w, 3, 1};
}

ConstFrames constant(const Frames& f) {
    return {f.data, f.n, f.h, f.w, f.stride_n, f.stride_h, f.stride_w, f.stride_c};
}

void test_size(std::int64_t h, std::int64_t w, DType dtype, int threads) {
    const std::string size = std::to_string(h) + "x" + std::to_string(w) +
                             (dtype == DType::kFloat16 ? " half" : " float") + " threads " +
                             std::to_string(threads);
    Bytes frame = random_bytes(3 * h * w);
    for (const bool swap_rb : {false, true}) {
        compare("unpack " + size, Bytes(static_cast<std::size_t>(3 * h * w * itemsize(dtype))),
                [&](std::uint8_t* dst) {
                    cpu::unpack(planes_of(dst, dtype, 3, h, w),
                                constant(frames_of(frame.data(), h, w)), swap_rb, threads);
                });
    }
    for (const int r : {1, 2, 3, 4, 8}) {
        const std::string at = " r " + std::to_string(r) + " " + size;
        Bytes x = random_planes(3 * r * r * h * w, dtype);
        const ConstPlanes source = constant(planes_of(x.data(), dtype, 3 * r * r, h, w));
        compare("pixel_shuffle" + at, Bytes(x.size()), [&](std::uint8_t* dst) {
            cpu::pixel_shuffle(planes_of(dst, dtype, 3, h * r, w * r), source, r, threads);
        });
        for (const auto kind : {cpu::Base::kNone, cpu::Base::kNearest, cpu::Base::kBilinear}) {
            for (const int k : {1, 2}) {  // at k = 2, dst is a part of what lr enlarges to
                cpu::BaseImage base;
                base.kind = kind;
                base.lr = constant(frames_of(frame.data(), h, w));
                base.scale = r * k;
                base.top = (k - 1) * h * r / 2;
                base.left = (k - 1) * (w * r / 2);
                const Bytes blank(static_cast<std::size_t>(3 * h * r * w * r));
                compare("pack base " + std::to_string(static_cast<int>(kind)) + " k " +
                            std::to_string(k) + at,
                        blank, [&](std::uint8_t* dst) {
                            cpu::pack(frames_of(dst, h * r, w * r), source, r, base, k == 2,
                                      threads);
                        });
            }
        }
    }
    std::vector<std::uint16_t> weights(static_cast<std::size_t>(h > w ? h : w));
    for (auto& weight : weights) weight = static_cast<std::uint16_t>(g_random() % 257);
    Bytes patch = random_bytes(3 * h * w);
    for (const std::int64_t offset : {-3, 0, 2}) {
        compare("blend " + size, frame, [&](std::uint8_t* dst) {
            cpu::blend(frames_of(dst, h, w), constant(frames_of(patch.data(), h, w)), offset,
                       -offset, weights.data(), weights.data(), threads);
        });
    }
}

}  // namespace

int main() {
    std::printf("best instruction set: %s\n", cpu::isa());
    const std::int64_t sizes[][2] = {{1, 1},  {1, 7},  {2, 8},  {3, 9},   {5, 15},
                                     {4, 16}, {2, 31}, {3, 33}, {17, 64}, {40, 129}};
    for (const auto& size : sizes) {
        for (const DType dtype : {DType::kFloat32, DType::kFloat16}) {
            for (const int threads : {1, 3}) test_size(size[0], size[1], dtype, threads);
        }
    }
    std::printf("%d comparisons, %d failed\n", g_compared, g_failed);
    return g_failed ? 1 : 0;
}
