// Int8 convolutions in plain C++: the specification of all others.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace srsdk::cpu {
namespace {

struct V {
    static constexpr int kLanes = 8, kVectors = 1, kOutputs = 8;
    static constexpr bool kSigned = false;
    struct Int {
        std::int32_t lane[kLanes];
    };
    struct Float {
        float lane[kLanes];
    };

    template <typename R, typename F>
    static R each(const F& f) {
        R result;
        for (int i = 0; i < kLanes; ++i) result.lane[i] = f(i);
        return result;
    }

    static Int load(const std::uint32_t* at) {
        return each<Int>([&](int i) { return static_cast<std::int32_t>(at[i]); });
    }
    static Int splat(const std::int8_t* at) {
        std::uint32_t four = 0;
        for (int k = 0; k < 4; ++k) {
            four |= std::uint32_t{static_cast<std::uint8_t>(at[k])} << 8 * k;
        }
        return constant(static_cast<std::int32_t>(four));
    }
    static Int constant(std::int32_t value) {
        return each<Int>([&](int) { return value; });
    }
    static Int dot(const Int& sum, const Int& act, const Int& taps) {
        return each<Int>([&](int i) {
            std::int32_t total = sum.lane[i];
            for (int k = 0; k < 4; ++k) {
                total += static_cast<std::uint8_t>(act.lane[i] >> 8 * k) *
                         static_cast<std::int8_t>(taps.lane[i] >> 8 * k);
            }
            return total;
        });
    }

    static Float to_float(const Int& value) {
        return each<Float>([&](int i) { return static_cast<float>(value.lane[i]); });
    }
    static Int round(const Float& value) {
        return each<Int>(
            [&](int i) { return static_cast<std::int32_t>(std::nearbyint(value.lane[i])); });
    }
    static Float splat_real(float value) {
        return each<Float>([&](int) { return value; });
    }
    static Float load_real(const float* at) {
        return each<Float>([&](int i) { return at[i]; });
    }
    static void store_real(float* at, const Float& value) {
        std::copy(value.lane, value.lane + kLanes, at);
    }
    static Float multiply(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return a.lane[i] * b.lane[i]; });
    }
    static Float add(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return a.lane[i] + b.lane[i]; });
    }
    static Float subtract(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return a.lane[i] - b.lane[i]; });
    }
    static Float larger(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return std::max(a.lane[i], b.lane[i]); });
    }
    static Float smaller(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return std::min(a.lane[i], b.lane[i]); });
    }
    static Float select_positive(const Float& y, const Float& otherwise) {
        return each<Float>([&](int i) { return y.lane[i] > 0 ? y.lane[i] : otherwise.lane[i]; });
    }
    static void store_quads(std::uint32_t* at, const Int (&y)[4]) {
        for (int i = 0; i < kLanes; ++i) {
            std::uint32_t quad = 0;
            for (int k = 0; k < 4; ++k) {
                quad |= std::uint32_t(std::clamp(y[k].lane[i], 0, 255)) << 8 * k;
            }
            at[i] = quad;
        }
    }
    static Int load_quads(const std::uint32_t* at) { return load(at); }
    static void store_six(std::uint8_t* at, const Int& a, const Int& b) {
        for (int i = 0; i < kLanes; ++i) {
            const std::int32_t two[] = {a.lane[i], b.lane[i]};
            std::memcpy(at + 6 * i, two, 6);
        }
    }
    static void store_twelve(std::uint8_t* at, const Int& a, const Int& b, const Int& c) {
        for (int i = 0; i < kLanes; ++i) {
            const std::int32_t three[] = {a.lane[i], b.lane[i], c.lane[i]};
            std::memcpy(at + 12 * i, three, sizeof(three));
        }
    }
};

}  // namespace
}  // namespace srsdk::cpu

#include "int8_generic.h"

namespace srsdk::cpu {
namespace {
constexpr Int8Kernels kInt8 = {false, conv, widen, neighbours, interleave};
}

const Int8Kernels& portable_int8() { return kInt8; }

}  // namespace srsdk::cpu
