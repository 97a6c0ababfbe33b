// Row functions for x86-64 with AVX2, FMA and F16C. Compiled with flags that the rest of the
// library must not have: include nothing here that defines inline functions for others to share.
#include <immintrin.h>

#include "rows_generic.h"

namespace srsdk::cpu {
namespace {

using Half = std::uint16_t;

// ---- interleaved pixels <-> planes, 32 pixels in each of the three vectors

// Byte k of three 16-byte groups belongs to channel (k + 16 * group) % 3: what is picked where.
// -1 in pick0: group g takes channel (g + 1) % 3 there; in pick1: channel (g + 2) % 3.
inline __m256i twice(__m128i half) { return _mm256_broadcastsi128_si256(half); }
inline __m256i pick0() {
    return twice(_mm_setr_epi8(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0));
}
inline __m256i pick1() {
    return twice(_mm_setr_epi8(0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0));
}

struct Pixels {
    __m256i a, b, c;
};

// Each lane's 16 pixels become 48 bytes: lane 0 of a, b, c, then lane 1 of a, b, c.
inline Pixels interleave(const Pixels& planes) {
    const __m256i a = _mm256_shuffle_epi8(
        planes.a, twice(_mm_setr_epi8(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5)));
    const __m256i b = _mm256_shuffle_epi8(
        planes.b, twice(_mm_setr_epi8(5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10)));
    const __m256i c = _mm256_shuffle_epi8(
        planes.c, twice(_mm_setr_epi8(10, 5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15)));
    return {_mm256_blendv_epi8(_mm256_blendv_epi8(a, b, pick0()), c, pick1()),
            _mm256_blendv_epi8(_mm256_blendv_epi8(b, c, pick0()), a, pick1()),
            _mm256_blendv_epi8(_mm256_blendv_epi8(c, a, pick0()), b, pick1())};
}

inline void store_pixels(std::uint8_t* dst, const Pixels& planes) {
    const Pixels p = interleave(planes);
    __m256i* out = reinterpret_cast<__m256i*>(dst);
    _mm256_storeu_si256(out, _mm256_permute2x128_si256(p.a, p.b, 0x20));
    _mm256_storeu_si256(out + 1, _mm256_blend_epi32(p.c, p.a, 0xf0));
    _mm256_storeu_si256(out + 2, _mm256_permute2x128_si256(p.b, p.c, 0x31));
}

// The inverse: 96 bytes to three planes of 32.
inline Pixels load_pixels(const std::uint8_t* src) {
    const __m256i* in = reinterpret_cast<const __m256i*>(src);
    const __m256i s0 = _mm256_loadu_si256(in);
    const __m256i s1 = _mm256_loadu_si256(in + 1);
    const __m256i s2 = _mm256_loadu_si256(in + 2);
    const __m256i a = _mm256_blend_epi32(s0, s1, 0xf0);
    const __m256i b = _mm256_permute2x128_si256(s0, s2, 0x21);
    const __m256i c = _mm256_blend_epi32(s1, s2, 0xf0);
    const __m256i plane0 = _mm256_blendv_epi8(_mm256_blendv_epi8(a, b, pick1()), c, pick0());
    const __m256i plane1 = _mm256_blendv_epi8(_mm256_blendv_epi8(b, c, pick1()), a, pick0());
    const __m256i plane2 = _mm256_blendv_epi8(_mm256_blendv_epi8(c, a, pick1()), b, pick0());
    return {_mm256_shuffle_epi8(
                plane0, twice(_mm_setr_epi8(0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13))),
            _mm256_shuffle_epi8(
                plane1, twice(_mm_setr_epi8(1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14))),
            _mm256_shuffle_epi8(plane2, twice(_mm_setr_epi8(2, 5, 8, 11, 14, 1, 4, 7, 10, 13, 0, 3,
                                                            6, 9, 12, 15)))};
}

// ---- unpack and split

inline void store_unit(float* dst, __m256 values) { _mm256_storeu_ps(dst, values); }
inline void store_unit(Half* dst, __m256 values) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst),
                     _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
}

template <typename T>
inline void store_plane(T* dst, __m256i bytes) {
    const __m128i halves[2] = {_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)};
    for (int i = 0; i < 4; ++i) {
        const __m128i eight = i & 1 ? _mm_srli_si128(halves[i / 2], 8) : halves[i / 2];
        const __m256 values = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight));
        store_unit(dst + 8 * i, _mm256_mul_ps(values, _mm256_set1_ps(kUnit)));
    }
}

template <typename T>
void unpack(T* const dst[3], const std::uint8_t* src, std::int64_t w) {
    std::int64_t x = 0;
    for (; x + 32 <= w; x += 32) {
        const Pixels p = load_pixels(src + 3 * x);
        store_plane(dst[0] + x, p.a);
        store_plane(dst[1] + x, p.b);
        store_plane(dst[2] + x, p.c);
    }
    if (x == w) return;
    const std::int64_t rest = w - x;
    alignas(32) std::uint8_t pixels[96] = {};
    alignas(32) T planes[32];
    std::memcpy(pixels, src + 3 * x, static_cast<std::size_t>(3 * rest));
    const Pixels p = load_pixels(pixels);
    const __m256i bytes[3] = {p.a, p.b, p.c};
    for (int c = 0; c < 3; ++c) {
        store_plane(planes, bytes[c]);
        std::memcpy(dst[c] + x, planes, static_cast<std::size_t>(rest) * sizeof(T));
    }
}

inline void store_plane(std::int16_t* dst, __m256i bytes) {
    __m256i* out = reinterpret_cast<__m256i*>(dst);
    _mm256_storeu_si256(out, _mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes)));
    _mm256_storeu_si256(out + 1, _mm256_cvtepu8_epi16(_mm256_extracti128_si256(bytes, 1)));
}

void split(std::int16_t* const dst[3], const std::uint8_t* src, std::int64_t w) {
    for (std::int64_t x = 0; x < w; x += 32) {  // writes into the padding
        alignas(32) std::uint8_t pixels[96] = {};
        const std::uint8_t* from = src + 3 * x;
        if (x + 32 > w) {
            std::memcpy(pixels, from, static_cast<std::size_t>(3 * (w - x)));
            from = pixels;
        }
        const Pixels p = load_pixels(from);
        store_plane(dst[0] + x, p.a);
        store_plane(dst[1] + x, p.b);
        store_plane(dst[2] + x, p.c);
    }
}

// ---- pack

void base(const BaseRow& row) {
    if (row.step != 1) return base_generic(row);
    const __m256i left = _mm256_set1_epi16(row.left), right = _mm256_set1_epi16(row.right);
    const auto mix = [&](const std::int16_t* line) {
        const __m256i* at = reinterpret_cast<const __m256i*>(line);
        const __m256i* after = reinterpret_cast<const __m256i*>(line + 1);
        return _mm256_add_epi16(_mm256_mullo_epi16(_mm256_loadu_si256(at), left),
                                _mm256_mullo_epi16(_mm256_loadu_si256(after), right));
    };
    for (std::int64_t t = 0; t < row.n; t += 16) {  // reads and writes padding
        const __m256i above = mix(row.above + t), below = mix(row.below + t);
        const __m256i low = _mm256_unpacklo_epi16(above, below);
        const __m256i high = _mm256_unpackhi_epi16(above, below);
        __m256i* out = reinterpret_cast<__m256i*>(row.out + 2 * t);
        _mm256_storeu_si256(out, _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(low, high, 0x31));
    }
}

inline __m256 load8(const float* x) { return _mm256_loadu_ps(x); }
inline __m256 load8(const Half* x) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
}

// The first n of 8 elements, n from 0 on, and zeros.
template <typename T>
inline __m256 load_first(const T* x, std::int64_t n) {
    alignas(32) T part[8] = {};
    if (n > 0) std::memcpy(part, x, static_cast<std::size_t>(n < 8 ? n : 8) * sizeof(T));
    return load8(part);
}

struct BaseConstants {
    __m256i weights;
    __m256 unit;
};

// kExact: base_unit is a power of two, so that the product with it is exact and a fused
// multiply-add rounds as multiplication and addition do.
enum class Mix { kNone, kExact, kRounded };

inline Mix mix_of(const PackRow& row) {
    if (!row.base) return Mix::kNone;
    std::uint32_t bits;
    std::memcpy(&bits, &row.base_unit, sizeof(bits));
    return bits & 0x7fffffu ? Mix::kRounded : Mix::kExact;
}

// Eight values, rounded, as int32; below 0 and NaN are any negative number. The order of min's
// operands hands a NaN through, and the conversion makes INT_MIN of it and of -infinity.
template <Mix kMix>
inline __m256i quantise(__m256 x, const std::int16_t* base, const BaseConstants& constants) {
    const __m256 white = _mm256_set1_ps(255.0f);
    __m256 value = _mm256_mul_ps(x, white);
    if (kMix != Mix::kNone) {
        const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(base));
        const __m256 sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, constants.weights));
        value = kMix == Mix::kExact ? _mm256_fmadd_ps(sum, constants.unit, value)
                                    : _mm256_add_ps(value, _mm256_mul_ps(sum, constants.unit));
    }
    return _mm256_cvtps_epi32(_mm256_min_ps(white, value));
}

// In each lane: four of q0, four of q1, four of q2, four of q3.
inline __m256i to_bytes(__m256i q0, __m256i q1, __m256i q2, __m256i q3) {
    return _mm256_packus_epi16(_mm256_packs_epi32(q0, q1), _mm256_packs_epi32(q2, q3));
}

// In each lane: four times one of q0, q1, q2, q3.
inline __m256i to_bytes_in_turn(const __m256i q[4]) {
    return _mm256_shuffle_epi8(
        to_bytes(q[0], q[1], q[2], q[3]),
        twice(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)));
}

// kStep<R> low-resolution pixels make kVectors<R> vectors of up to 32 pixels of one channel, from
// q[j][k]: column phase j, low-resolution pixels 8 * k and on.
template <int R>
constexpr int kGroups = R == 1   ? 4
                        : R == 2 ? 2
                                 : 1;
template <int R>
constexpr int kVectors = R == 8 ? 2 : 1;

template <int R>
inline void join_phases(const __m256i q[R][kGroups<R>], __m256i out[kVectors<R>]) {
    if constexpr (R == 1) {
        const __m256i bytes = to_bytes(q[0][0], q[0][1], q[0][2], q[0][3]);
        out[0] = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    } else if constexpr (R == 2) {
        const __m256i bytes = _mm256_shuffle_epi8(
            to_bytes(q[0][0], q[1][0], q[0][1], q[1][1]),
            twice(_mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15)));
        out[0] = _mm256_permute4x64_epi64(bytes, _MM_SHUFFLE(3, 1, 2, 0));
    } else if constexpr (R == 3) {
        const __m256i bytes = _mm256_shuffle_epi8(
            to_bytes(q[0][0], q[1][0], q[2][0], q[2][0]),
            twice(_mm_setr_epi8(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, -1, -1, -1, -1)));
        out[0] = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    } else if constexpr (R == 4) {
        const __m256i phases[4] = {q[0][0], q[1][0], q[2][0], q[3][0]};
        out[0] = to_bytes_in_turn(phases);
    } else {
        const __m256i low[4] = {q[0][0], q[1][0], q[2][0], q[3][0]};
        const __m256i high[4] = {q[4][0], q[5][0], q[6][0], q[7][0]};
        const __m256i a = to_bytes_in_turn(low), b = to_bytes_in_turn(high);
        const __m256i even = _mm256_unpacklo_epi32(a, b), odd = _mm256_unpackhi_epi32(a, b);
        out[0] = _mm256_permute2x128_si256(even, odd, 0x20);
        out[1] = _mm256_permute2x128_si256(even, odd, 0x31);
    }
}

// Bytes that one step writes, and those of them that count.
template <int R>
constexpr std::int64_t kWritten = 96 * kVectors<R>;
template <int R>
constexpr std::int64_t kStep = 8 * kGroups<R>;

// One step, at low-resolution column `x`; the last `missing` of its columns are not there.
template <int R, Mix kMix, bool kWhole, typename T>
inline void pack_step(const PackRow& row, const BaseConstants& constants, std::int64_t x,
                      std::uint8_t* dst) {
    __m256i channels[3][kVectors<R>];
    for (int c = 0; c < 3; ++c) {
        __m256i q[R][kGroups<R>];
        for (int j = 0; j < R; ++j) {
            const T* plane = reinterpret_cast<const T*>(static_cast<const char*>(row.x) +
                                                        c * row.stride_c + j * row.stride_j);
            const std::int16_t* base =
                kMix != Mix::kNone ? row.base + 2 * ((c * R + j) * row.base_pitch + x) : nullptr;
            for (int k = 0; k < kGroups<R>; ++k) {
                const __m256 values = kWhole ? load8(plane + x + 8 * k)
                                             : load_first(plane + x + 8 * k, row.w - x - 8 * k);
                q[j][k] =
                    quantise<kMix>(values, kMix != Mix::kNone ? base + 16 * k : nullptr, constants);
            }
        }
        join_phases<R>(q, channels[c]);
    }
    for (int v = 0; v < kVectors<R>; ++v) {
        store_pixels(dst + 96 * v, {channels[0][v], channels[1][v], channels[2][v]});
    }
}

template <int R, Mix kMix, typename T>
void pack_span(const PackRow row) {  // a copy, that bytes stored through dst cannot change
    const BaseConstants constants = {
        _mm256_set1_epi32((static_cast<std::uint16_t>(row.weight_above)) |
                          (static_cast<std::int32_t>(row.weight_below) << 16)),
        _mm256_set1_ps(row.base_unit)};
    const std::int64_t size = 3 * R * row.w;
    std::int64_t x = 0;
    for (; x + kStep<R> <= row.w && 3 * R * x + kWritten<R> <= size; x += kStep<R>) {
        pack_step<R, kMix, true, T>(row, constants, x, row.dst + 3 * R * x);
    }
    for (; x < row.w; x += kStep<R>) {
        alignas(32) std::uint8_t pixels[kWritten<R>];
        pack_step<R, kMix, false, T>(row, constants, x, pixels);
        const std::int64_t columns = row.w - x < kStep<R> ? row.w - x : kStep<R>;
        std::memcpy(row.dst + 3 * R * x, pixels, static_cast<std::size_t>(3 * R * columns));
    }
}

template <int R, typename T>
void pack_row(const PackRow& row) {
    switch (mix_of(row)) {
        case Mix::kNone:
            return pack_span<R, Mix::kNone, T>(row);
        case Mix::kExact:
            return pack_span<R, Mix::kExact, T>(row);
        case Mix::kRounded:
            return pack_span<R, Mix::kRounded, T>(row);
    }
}

constexpr Rows kRows = {
    unpack<float>,
    unpack<Half>,
    split,
    base,
    {pack_row<1, float>, pack_row<2, float>, pack_row<3, float>, pack_row<4, float>,
     pack_row<8, float>},
    {pack_row<1, Half>, pack_row<2, Half>, pack_row<3, Half>, pack_row<4, Half>, pack_row<8, Half>},
    {shuffle_generic<1, float>, shuffle_generic<2, float>, shuffle_generic<3, float>,
     shuffle_generic<4, float>, shuffle_generic<8, float>},
    {shuffle_generic<1, Half>, shuffle_generic<2, Half>, shuffle_generic<3, Half>,
     shuffle_generic<4, Half>, shuffle_generic<8, Half>},
    blend_generic,
};

}  // namespace

const Rows& avx2_rows() { return kRows; }

}  // namespace srsdk::cpu
