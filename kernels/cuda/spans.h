// Runs of memory, moved by all threads of a block in steps of 16 bytes, at any alignment.
#pragma once

#include "portable.h"
#include "srsdk/cuda.h"

namespace srsdk::cuda {

// Whether every row of `x` begins on 16 bytes.
inline bool aligned_rows(const ConstTensor& x) {
    return ((reinterpret_cast<std::uintptr_t>(x.data) |
             static_cast<std::uintptr_t>(x.stride_n | x.stride_c | x.stride_h)) &
            15) == 0;
}

// Global memory to shared: byte k of `from` to `to[misalignment(from) + k]`, so that whole vectors
// of the one are whole vectors of the other. `to` is aligned to 16 bytes and has room for 15 more.
SRSDK_HD void copy_in(unsigned char* to, const std::uint8_t* from, int bytes, const Block& block) {
    const int shift = misalignment(from);
    const std::uint8_t* const base = from - shift;
    for (int v = block.thread; 16 * v < shift + bytes; v += block.threads) {
        const int begin = 16 * v;
        if (begin >= shift && begin + 16 <= shift + bytes) {
            *reinterpret_cast<Words*>(to + begin) = *reinterpret_cast<const Words*>(base + begin);
        } else {
            const int last = smaller(begin + 16, shift + bytes);
            for (int k = larger(begin, shift); k < last; ++k) to[k] = base[k];
        }
    }
}

// Shared memory to global. `from` is aligned to 16 bytes and may be read 4 bytes past its end.
SRSDK_HD void copy_out(std::uint8_t* to, const unsigned char* from, int bytes, const Block& block) {
    const int head = smaller(bytes, (16 - misalignment(to)) & 15);
    const int vectors = (bytes - head) / 16;
    for (int k = block.thread; k < head; k += block.threads) to[k] = from[k];
    for (int k = head + 16 * vectors + block.thread; k < bytes; k += block.threads) to[k] = from[k];
    const int shift = 8 * (head & 3);
    const unsigned char* const whole = from + (head & ~3);
    for (int v = block.thread; v < vectors; v += block.threads) {
        Words words;
        if (head == 0) {
            words = *reinterpret_cast<const Words*>(from + 16 * v);
        } else {
            const auto* const at = reinterpret_cast<const std::uint32_t*>(whole + 16 * v);
            SRSDK_UNROLL
            for (int k = 0; k < 4; ++k) {
                const std::uint64_t pair = at[k] | static_cast<std::uint64_t>(at[k + 1]) << 32;
                words.at[k] = static_cast<std::uint32_t>(pair >> shift);
            }
        }
        *reinterpret_cast<Words*>(to + head + 16 * v) = words;
    }
}

// `count` elements at `to`, which is aligned to elements. source.seek(k) says which comes next, and
// source.next() gives one after the other.
template <typename T, typename Source>
SRSDK_HD void store_elements(std::uint8_t* to, int count, const Block& block, Source source) {
    constexpr int size = static_cast<int>(sizeof(T));
    const int head = smaller(count, ((16 - misalignment(to)) & 15) / size);
    const int vectors = (count - head) / kVector<T>;
    for (int k = block.thread; k < head; k += block.threads) {
        source.seek(k);
        store_bits<T>(to + k * size, source.next());
    }
    for (int k = head + vectors * kVector<T> + block.thread; k < count; k += block.threads) {
        source.seek(k);
        store_bits<T>(to + k * size, source.next());
    }
    for (int v = block.thread; v < vectors; v += block.threads) {
        const int begin = head + v * kVector<T>;
        source.seek(begin);
        Words words{};
        SRSDK_UNROLL
        for (int k = 0; k < kVector<T>; ++k) insert<T>(words, k, source.next());
        *reinterpret_cast<Words*>(to + begin * size) = words;
    }
}

}  // namespace srsdk::cuda
