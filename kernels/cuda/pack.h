// pack: a tile of one low-resolution row becomes r rows of pixels.
//
// Phase 0 mixes the two rows of `lr` that each output row lies between. Phase 1 loads 16 bytes of
// each of 3 * r planes a thread, adds the base, rounds, and lays the pixels down in shared memory.
// Phase 2 writes them out, 16 bytes at a time whatever the frame's alignment.
//
// Positions in `lr` are counted in units of 1 / (2 * scale) of its pixels, as in
// cpu/base_image.h: all weights are integers, and sums are exact, also as floats (they stay below
// 2^24). Floats because converting an integer for every byte costs a GPU more than all the rest.
#pragma once

#include "spans.h"
#include "srsdk/cuda.h"

namespace srsdk::cuda {

// How base.lr is enlarged: where along an axis an output coordinate lies.
struct Enlarge {
    std::int64_t step, offset, period, back;  // index = (step * X + offset) / period - back
    float full;                               // the weights' sum
    bool fraction;                            // whether weights are wanted at all

    struct Position {
        std::int64_t index;
        int phase;  // in [0, period)
    };
    SRSDK_HD Position at(std::int64_t coordinate) const {
        const std::int64_t position = step * coordinate + offset;
        const std::int64_t index = divide(position, period);
        return {index - back, static_cast<int>(position - index * period)};
    }
};

inline Enlarge enlarge(const cpu::BaseImage& base) {
    const std::int64_t s = base.scale;
    if (base.kind != cpu::Base::kBilinear) return {1, 0, s, 0, 1.0f, false};
    return {2, 1 + s, 2 * s, 1, static_cast<float>(2 * s), true};
}

// Clamp to [0, 255], NaN to 0, and round half to even: adding 2^23 leaves no bits for a fraction,
// so that the addition rounds, and the integer is in the low bits.
SRSDK_HD std::uint32_t quantise(float value) {
    const float positive = value > 0.0f ? value : 0.0f;
    return bits_of(add(positive < 255.0f ? positive : 255.0f, 8388608.0f)) & 0xffu;
}

template <typename T, int R, bool kBase>
struct Pack {
    static constexpr int kPhases = 3;
    static constexpr int kTile = R == 1 ? 1024 : R == 2 ? 512 : R == 8 ? 128 : 256;  // of x
    static constexpr int kGroups = kTile / kVector<T>;                               // of Words
    static constexpr int kThreads = (R * kGroups + 31) & ~31;
    static constexpr int kGroupBytes = kVector<T> * R * 3;  // of a row

    Frames dst;
    ConstTensor x;
    ConstFrames lr;
    Enlarge axis;
    float unit;
    std::int64_t top, left;
    int columns;  // of lr that a tile needs, at most
    int groups;   // of this launch, at most kGroups
    bool swap_rb, vector;

    SRSDK_HD int pitch() const { return (groups * kGroupBytes + 31) & ~15; }
    int shared_bytes() const { return R * pitch() + (kBase ? 4 * 3 * R * columns : 0); }
    SRSDK_HD float* mixed(const Block& block) const {
        return reinterpret_cast<float*>(block.shared + R * pitch());
    }

    template <int phase>
    SRSDK_HD void run(const Block& block) const {
        const int tile = groups * kVector<T>;
        const std::int64_t begin = block.x * tile;
        [[maybe_unused]] const int count =
            static_cast<int>(smaller<std::int64_t>(tile, x.w - begin));
        if constexpr (phase == 0) {
            if constexpr (kBase) mix(block, begin);
        } else if constexpr (phase == 1) {
            for (int item = block.thread; item < groups * R; item += block.threads) {
                const int i = item / groups, group = item - i * groups;
                const int remaining = count - group * kVector<T>;
                if (remaining > 0) compute(block, begin, i, group, remaining);
            }
        } else {
            for (int i = 0; i < R; ++i) {
                copy_out(dst.data + block.z * dst.stride_n + (block.y * R + i) * dst.stride_h +
                             begin * R * 3,
                         block.shared + i * pitch(), count * R * 3, block);
            }
        }
    }

    SRSDK_HD void mix(const Block& block, std::int64_t begin) const {
        const std::int64_t first = axis.at(left + begin * R).index;
        for (int k = block.thread; k < 3 * columns; k += block.threads) {
            const int column = k / 3, c = k - 3 * column;
            const std::int64_t at =
                larger<std::int64_t>(0, smaller<std::int64_t>(first + column, lr.w - 1));
            const std::uint8_t* const from =
                lr.data + block.z * lr.stride_n + at * lr.stride_w + c * lr.stride_c;
            auto row = axis.at(top + block.y * R);
            std::int64_t loaded = row.index - 1;
            float above = 0.0f, below = 0.0f;
            SRSDK_UNROLL
            for (int i = 0; i < R; ++i) {
                if (row.index != loaded) {
                    loaded = row.index;
                    above = from[larger<std::int64_t>(0, row.index) * lr.stride_h];
                    below = from[smaller(row.index + 1, lr.h - 1) * lr.stride_h];
                }
                const float weight = axis.fraction ? static_cast<float>(row.phase) : 0.0f;
                mixed(block)[(i * 3 + c) * columns + column] =
                    between(above, below, weight, axis.full);
                row.phase += static_cast<int>(axis.step);
                if (row.phase >= axis.period) {
                    row.phase -= static_cast<int>(axis.period);
                    ++row.index;
                }
            }
        }
    }

    // The base along an output row: lr before and after the current pixel.
    struct Cursor {
        const float* row;
        float base[3][2], weight;
        int column, phase;
    };

    SRSDK_HD void look_up(Cursor& at) const {
        SRSDK_UNROLL
        for (int c = 0; c < 3; ++c) {
            at.base[c][0] = at.row[c * columns + at.column];
            at.base[c][1] = at.row[c * columns + smaller(at.column + 1, columns - 1)];
        }
    }

    SRSDK_HD void advance_by_one(Cursor& at) const {
        at.phase += static_cast<int>(axis.step);
        at.weight = add(at.weight, axis.fraction ? 2.0f : 0.0f);
        if (at.phase >= axis.period) {
            at.phase -= static_cast<int>(axis.period);
            at.weight = axis.fraction ? add(at.weight, -axis.full) : 0.0f;
            ++at.column;
            look_up(at);
        }
    }

    // Exact: integers below 2^24.
    SRSDK_HD static float between(float before, float behind, float weight, float full) {
        return add(mul(before, add(full, -weight)), mul(behind, weight));
    }

    SRSDK_HD std::uint32_t level(std::uint32_t bits, int c, const Cursor& at) const {
        float value = mul(widen<T>(bits), 255.0f);
        if constexpr (kBase) {
            const float sum = between(at.base[c][0], at.base[c][1], at.weight, axis.full);
            value = add(value, mul(sum, unit));
        }
        return quantise(value);
    }

    SRSDK_HD void compute(const Block& block, std::int64_t begin, int i, int group,
                          int remaining) const {
        const int first = group * kVector<T>;
        const char* from = static_cast<const char*>(x.data) + block.z * x.stride_n +
                           block.y * x.stride_h + (begin + first) * x.stride_w +
                           i * R * x.stride_c + (swap_rb ? 2 * R * R * x.stride_c : 0);
        const std::int64_t stride_c = (swap_rb ? -R : R) * R * x.stride_c;
        unsigned char* const out = block.shared + i * pitch() + group * kGroupBytes;
        Cursor at{};
        if constexpr (kBase) {
            const auto start = axis.at(left + (begin + first) * R);
            at.row = mixed(block) + i * 3 * columns;
            at.column = static_cast<int>(start.index - axis.at(left + begin * R).index);
            at.phase = start.phase;
            at.weight = axis.fraction ? static_cast<float>(start.phase) : 0.0f;
            look_up(at);
        }
        if (vector && remaining >= kVector<T>) {
            whole(from, stride_c, at, reinterpret_cast<std::uint32_t*>(out));
            return;
        }
        for (int k = 0; k < smaller<int>(remaining, kVector<T>); ++k) {
            SRSDK_UNROLL
            for (int j = 0; j < R; ++j) {
                SRSDK_UNROLL
                for (int c = 0; c < 3; ++c) {
                    const std::uint32_t bits =
                        load_bits<T>(from + c * stride_c + j * x.stride_c + k * x.stride_w);
                    out[(k * R + j) * 3 + c] = static_cast<unsigned char>(level(bits, c, at));
                }
                if constexpr (kBase) advance_by_one(at);
            }
        }
    }

    SRSDK_HD void whole(const char* from, std::int64_t stride_c, Cursor& at,
                        std::uint32_t* out) const {
        Words in[3][R];
        SRSDK_UNROLL
        for (int c = 0; c < 3; ++c) {
            SRSDK_UNROLL
            for (int j = 0; j < R; ++j) {
                in[c][j] = *reinterpret_cast<const Words*>(from + c * stride_c + j * x.stride_c);
            }
        }
        std::uint32_t word = 0;
        SRSDK_UNROLL
        for (int k = 0; k < kVector<T>; ++k) {
            SRSDK_UNROLL
            for (int j = 0; j < R; ++j) {
                SRSDK_UNROLL
                for (int c = 0; c < 3; ++c) {
                    const int byte = (k * R + j) * 3 + c;
                    word |= level(element<T>(in[c][j], k), c, at) << (8 * (byte % 4));
                    if (byte % 4 == 3) {
                        out[byte / 4] = word;
                        word = 0;
                    }
                }
                if constexpr (kBase) advance_by_one(at);
            }
        }
    }
};

template <typename T, int R, bool kBase, typename Launch>
void pack_as(const Frames& dst, const ConstTensor& x, const cpu::BaseImage& base, bool swap_rb,
             const Launch& launch) {
    using Op = Pack<T, R, kBase>;
    const std::int64_t vectors = (x.w - 1) / kVector<T> + 1;
    const std::int64_t tiles = (vectors - 1) / Op::kGroups + 1;
    const int groups = static_cast<int>((vectors - 1) / tiles + 1);
    const Enlarge axis = enlarge(base);
    const float unit = static_cast<float>(1.0 / (double{1} * axis.full * axis.full));
    const int columns = groups * kVector<T> * R / base.scale + 3;
    const bool vector = x.stride_w == static_cast<std::int64_t>(sizeof(T)) && aligned_rows(x);
    const Op op{dst, x, base.lr, axis, unit, base.top, base.left, columns, groups, swap_rb, vector};
    launch(op, {(vectors - 1) / groups + 1, x.h, x.n}, (groups * R + 31) & ~31, op.shared_bytes());
}

template <typename T, bool kBase, typename Launch>
void pack_at(const Frames& dst, const ConstTensor& x, int r, const cpu::BaseImage& base,
             bool swap_rb, const Launch& launch) {
    if (r == 1) pack_as<T, 1, kBase>(dst, x, base, swap_rb, launch);
    if (r == 2) pack_as<T, 2, kBase>(dst, x, base, swap_rb, launch);
    if (r == 3) pack_as<T, 3, kBase>(dst, x, base, swap_rb, launch);
    if (r == 4) pack_as<T, 4, kBase>(dst, x, base, swap_rb, launch);
    if (r == 8) pack_as<T, 8, kBase>(dst, x, base, swap_rb, launch);
}

template <typename Launch>
void pack_with(const Frames& dst, const ConstTensor& x, int r, const cpu::BaseImage& base,
               bool swap_rb, const Launch& launch) {
    if (x.n == 0 || x.h == 0 || x.w == 0) return;
    const bool based = base.kind != cpu::Base::kNone;
    if (x.dtype == DType::kFloat32) {
        (based ? pack_at<float, true, Launch> : pack_at<float, false, Launch>)(dst, x, r, base,
                                                                               swap_rb, launch);
    } else {
        (based ? pack_at<Half, true, Launch> : pack_at<Half, false, Launch>)(dst, x, r, base,
                                                                             swap_rb, launch);
    }
}

}  // namespace srsdk::cuda
