// Int8Network, before the first frame: sizes checked, weights quantised and packed.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "int8_network.h"

namespace srsdk::cpu {
namespace {

constexpr int kLargestSize = 2 * kSide - 1;
constexpr double kLargestSum = 2147483000.0;  // that 32 bits hold, with room for rounding
constexpr double kLargestLevel = 1e9;         // so that conversions to integers never overflow

int round_up(int value, int step) { return (value + step - 1) / step * step; }

void require(bool condition, std::size_t layer, const std::string& message) {
    if (!condition) {
        throw std::invalid_argument("convolution " + std::to_string(layer) + ": " + message);
    }
}

bool usable(float step) { return std::isfinite(step) && step > 0; }

void check(const Convolution& conv, std::size_t n, const std::vector<Int8Value>& values) {
    const int number = static_cast<int>(n);
    require(conv.source >= 0 && conv.source <= number, n, "reads a value that is not there");
    require(conv.inputs == values[static_cast<std::size_t>(conv.source)].channels, n,
            "its inputs are not the channels that it reads");
    require(conv.size >= 1 && conv.size % 2 == 1 && conv.size <= kLargestSize, n,
            "its size is not odd and at most " + std::to_string(kLargestSize));
    const int r = conv.shuffle, phases = r * r;
    require(r >= 1 && conv.outputs >= 1 && conv.outputs % phases == 0, n,
            "its outputs cannot be shuffled by " + std::to_string(r));
    if (conv.add >= 0) {
        require(conv.add > 0 && conv.add <= number, n, "adds a value that is not there");
        const Int8Value& added = values[static_cast<std::size_t>(conv.add)];
        require(r == 1 && added.shuffle == 1, n, "int8 adds no shuffled values");
        require(added.channels == conv.outputs &&
                    added.scale == values[static_cast<std::size_t>(conv.source)].scale,
                n, "adds a value of another shape");
    }
    const Quantization& int8 = conv.int8;
    require(int8.input_step && int8.input_zero && int8.weight_step, n, "has no steps for int8");
    for (int c = 0; c < conv.inputs; ++c) {
        require(usable(int8.input_step[c]), n, "its input steps must be above 0");
        require(conv.source > 0 || (int8.input_zero[c] == 0 &&
                                    int8.input_step[c] == static_cast<float>(1.0 / 255.0)),
                n, "the frame's steps are 1 / 255 and its zeros 0");
    }
    for (int o = 0; o < conv.outputs; ++o) {
        require(usable(int8.weight_step[o]), n, "its weight steps must be above 0");
    }
}

Activation activation_of(const Convolution& conv) {
    if (!conv.slope) return Activation::kNone;
    const bool sloped = std::any_of(conv.slope, conv.slope + conv.outputs,
                                    [](float slope) { return slope != 0.0f; });
    return sloped ? Activation::kPRelu : Activation::kRelu;
}

// The places of a convolution's outputs, `quads` being those of its result.
std::vector<int> places_of(const Convolution& conv, int quads, const Int8Frame* frame) {
    std::vector<int> places;
    const int phases = conv.shuffle * conv.shuffle;
    for (int o = 0; o < conv.outputs; ++o) {
        places.push_back(frame ? frame->place(o) : o % phases * quads * kQuad + o / phases);
    }
    return places;
}

// Weights and bias in units of the sums.
void quantise(const Convolution& conv, std::size_t n, const std::vector<int>& places, bool swap_rb,
              Int8Layer& layer) {
    const int taps = conv.size * conv.size, inputs = conv.inputs;
    const int packed = round_up(layer.outputs, kInt8Outputs), first = round_up(inputs, kQuad);
    const int all = conv.int8.fine ? first + inputs : inputs;  // second bytes after the first ones
    const bool exact = conv.source == 0;
    std::vector<std::int8_t> weight(static_cast<std::size_t>(packed) * all * taps, 0);
    layer.bias.assign(static_cast<std::size_t>(packed), 0);
    layer.offset = layer.channel = layer.bias;
    layer.reach.assign(layer.bias.size(), 0.0);
    for (int o = 0; o < conv.outputs; ++o) {
        const auto place = static_cast<std::size_t>(places[static_cast<std::size_t>(o)]);
        const double step = conv.int8.weight_step[o];
        double bias = std::nearbyint(conv.bias[o] / step), reach = std::abs(bias);
        // Returns what is rounded off.
        const auto put = [&](double value, int channel, int tap, int zero) {
            const double level = std::clamp(std::nearbyint(value), -127.0, 127.0);
            require(level == level, n, "its weights are not numbers");
            weight[(place * all + channel) * taps + tap] = static_cast<std::int8_t>(level);
            bias -= level * zero;
            reach += std::abs(level) * 255 * 2;
            layer.offset[place] += static_cast<std::int32_t>(level) * 128;
            return value - level;
        };
        for (int c = 0; c < inputs; ++c) {
            const double input_step = conv.int8.input_step[c];
            const int channel = swap_rb ? 2 - c : c;
            double carry = 0, rest_carry = 0;
            for (int tap = 0; tap < taps; ++tap) {
                const double value =
                    conv.weight[(std::size_t{1} * o * inputs + c) * taps + tap] * input_step / step;
                const double left = put(value + carry, channel, tap, conv.int8.input_zero[c]);
                if (!conv.int8.fine) continue;
                if (exact) {
                    // What one weight rounds off goes to the next: sums over flat areas are right.
                    const double rest = (left - carry) * kFineSteps;
                    carry = left;
                    rest_carry = put(rest + rest_carry, first + channel, tap, 0);
                } else {
                    put(value / kFineSteps, first + channel, tap, kFineZero);
                }
            }
        }
        require(reach < kLargestSum, n, "its sums do not fit 32 bits");
        layer.bias[place] = static_cast<std::int32_t>(bias);
        layer.reach[place] = reach;
        layer.channel[place] = o;
    }
    layer.weight = int8_weights(weight, packed, all, conv.size);
}

enum class Wanted { kLevels, kFloats, kPixels };

// From sums to the result, whose steps are `to`, or null where nothing reads its levels. `added` is
// how far from 0 the floats are that it adds. Returns how far from 0 its own floats are.
double requantise(const Convolution& conv, std::size_t n, const std::vector<int>& places,
                  const Quantization* to, Wanted wanted, double added, Int8Layer& layer) {
    double reach = 0;
    layer.scale.assign(layer.bias.size(), 0.0f);
    layer.slope = layer.zero = layer.inverse_step = layer.scale;
    for (int o = 0; o < conv.outputs; ++o) {
        const auto place = static_cast<std::size_t>(places[static_cast<std::size_t>(o)]);
        const int channel = o / (conv.shuffle * conv.shuffle);
        const double weight_step = conv.int8.weight_step[o];
        const double inverse_step = to ? 1.0 / to->input_step[channel] : 0.0;
        const double scale =
            wanted == Wanted::kLevels ? weight_step / to->input_step[channel] : weight_step;
        layer.scale[place] = static_cast<float>(scale);
        layer.inverse_step[place] = static_cast<float>(inverse_step);
        double y = layer.reach[place] * scale;
        if (conv.slope) {
            layer.slope[place] = conv.slope[o];
            y *= std::max(1.0, std::abs(double{conv.slope[o]}));
        }
        if (wanted != Wanted::kLevels) reach = std::max(reach, y += added);
        if (wanted == Wanted::kFloats) y *= inverse_step;
        if (wanted == Wanted::kPixels) y *= 255;
        require((y + 255) * kFineSteps < kLargestLevel, n, "its steps are too far apart");
        if (to) layer.zero[place] = to->input_zero[channel];
        if (layer.activation == Activation::kRelu && layer.zero[place] != 0.0f) {
            layer.activation = Activation::kPRelu;  // a ReLU that must add its zero
        }
    }
    return reach;
}

std::uint32_t quad_of(const std::uint8_t* channels, int count) {
    std::uint32_t quad = 0;
    for (int k = 0; k < std::min(count, kQuad); ++k) quad |= std::uint32_t{channels[k]} << 8 * k;
    return quad;
}

// How far ahead of the last value each has to be, and how many of its rows are kept.
void share_out(const std::vector<Convolution>& convolutions, std::vector<Int8Value>& values) {
    for (std::size_t n = convolutions.size(); n-- > 0;) {
        const Convolution& conv = convolutions[n];
        const int ahead = values[n + 1].ahead;
        Int8Value& source = values[static_cast<std::size_t>(conv.source)];
        const int reach = (conv.size / 2 + source.scale - 1) / source.scale;
        source.ahead = std::max(source.ahead, ahead + reach);
        if (conv.add < 0) continue;
        Int8Value& added = values[static_cast<std::size_t>(conv.add)];
        added.ahead = std::max(added.ahead, ahead);
    }
    for (std::size_t n = 0; n < convolutions.size(); ++n) {
        const Convolution& conv = convolutions[n];
        Int8Value& result = values[n + 1];
        Int8Value& source = values[static_cast<std::size_t>(conv.source)];
        const int ahead = source.ahead - result.ahead + 1;
        source.rows = std::max(source.rows, ahead * source.scale + conv.size / 2);
        if (conv.add < 0) continue;
        Int8Value& added = values[static_cast<std::size_t>(conv.add)];
        added.float_rows =
            std::max(added.float_rows, (added.ahead - result.ahead + 1) * added.scale);
        if (n + 1 < convolutions.size()) result.float_rows = std::max(result.float_rows, 1);
    }
}

// Values by number: the frame, then each convolution's result.
std::vector<Int8Value> values_of(const std::vector<Convolution>& convolutions,
                                 const Epilogue& epilogue) {
    std::vector<Int8Value> values(1);
    for (std::size_t n = 0; n < convolutions.size(); ++n) {
        check(convolutions[n], n, values);
        Int8Value result;
        const int r = convolutions[n].shuffle;
        result.channels = convolutions[n].outputs / (r * r);
        result.quads = (result.channels + kQuad - 1) / kQuad;
        result.scale = values[static_cast<std::size_t>(convolutions[n].source)].scale * r;
        result.shuffle = r;
        values.push_back(result);
    }
    const int r = epilogue.shuffle;
    if (convolutions.empty() || values.back().channels != 3 * r * r ||
        values.back().scale * r != epilogue.scale || values.back().shuffle != 1 ||
        (r != 1 && r != 2 && r != 3 && r != 4 && r != 8) || epilogue.scale > kMaxScale ||
        (epilogue.base != Base::kNone && r != epilogue.scale)) {
        throw std::invalid_argument("the last convolution's result is not the epilogue's");
    }
    share_out(convolutions, values);
    if (epilogue.base != Base::kNone) {  // which mixes the rows above and below
        values[0].ahead = std::max(values[0].ahead, 1);
        values[0].rows = std::max(values[0].rows, values[0].ahead + 2);
    }
    values.back().rows = 1;
    values.back().quads = Int8Frame(epilogue).outputs() / kQuad;
    values.back().zero.assign(static_cast<std::size_t>(values.back().quads), 0);
    return values;
}

// The steps of each value, which are those of the convolutions that read it; null where none does.
// Writes down the quads of zeros.
std::vector<const Quantization*> steps_of(const std::vector<Convolution>& convolutions,
                                          std::vector<Int8Value>& values) {
    std::vector<const Quantization*> steps(values.size(), nullptr);
    for (std::size_t n = 0; n < convolutions.size(); ++n) {
        const Convolution& conv = convolutions[n];
        const auto number = static_cast<std::size_t>(conv.source);
        const float* const step = conv.int8.input_step;
        const std::uint8_t* const zero = conv.int8.input_zero;
        const Quantization* const other = steps[number];
        require(!other || (other->fine == conv.int8.fine &&
                           std::equal(step, step + conv.inputs, other->input_step) &&
                           std::equal(zero, zero + conv.inputs, other->input_zero)),
                n, "another convolution reads the same value with other steps");
        steps[number] = &conv.int8;
        values[number].zero.clear();
        for (int c = 0; c < conv.inputs; c += kQuad) {
            values[number].zero.push_back(quad_of(zero + c, conv.inputs - c));
        }
        values[number].fine = conv.int8.fine;
        if (!conv.int8.fine) continue;
        require(values[number].float_rows == 0, n,
                "two bytes are for results that are not added to others");
        const std::uint32_t zeros = number > 0 ? 0x01010101u * kFineZero : 0;
        values[number].zero.insert(values[number].zero.end(), values[number].quads, zeros);
    }
    return steps;
}

}  // namespace

std::vector<std::int8_t> int8_weights(const std::vector<std::int8_t>& weight, int outputs,
                                      int inputs, int size) {
    const int quads = (inputs + kQuad - 1) / kQuad, taps = size * size;
    std::vector<std::int8_t> packed(static_cast<std::size_t>(outputs) * taps * quads * kQuad, 0);
    for (int o = 0; o < outputs; ++o) {
        const int block = o / kInt8Outputs, lane = o % kInt8Outputs;
        for (int c = 0; c < inputs; ++c) {
            for (int tap = 0; tap < taps; ++tap) {
                const std::size_t at =
                    ((std::size_t{1} * block * taps + tap) * quads + c / kQuad) * kInt8Outputs +
                    lane;
                packed[at * kQuad + c % kQuad] =
                    weight[(std::size_t{1} * o * inputs + c) * taps + tap];
            }
        }
    }
    return packed;
}

Int8Frame::Int8Frame(const Epilogue& epilogue)
    : shuffle(epilogue.shuffle),
      quads((3 * shuffle + kQuad - 1) / kQuad),
      swap_rb(epilogue.swap_rb) {
    if (epilogue.base == Base::kNone) return;
    const bool bilinear = epilogue.base == Base::kBilinear;
    // Positions in units of 1 / full pixels, from the middle of the pixel before on.
    const int full = bilinear ? 2 * shuffle : 1;
    const auto position = [&](int phase) { return bilinear ? 2 * phase + 1 + shuffle : full; };
    total = full * full;
    twice = (full - 1) * (full - 1) > 127;
    unit = static_cast<float>(1.0 / total);
    base.resize(static_cast<std::size_t>(outputs()));
    for (int i = 0; i < shuffle; ++i) {
        for (int at = 0; at < 3 * shuffle; ++at) {
            const int y = position(i), x = position(at / 3);
            Int8Base& one = base[static_cast<std::size_t>(i * quads * kQuad + at)];
            one.pair = y / full;
            one.color = at % 3;
            one.shift = x / full - 1;
            for (int k = 0; k < 4; ++k) {
                const int row = k / 2 ? y % full : full - y % full;
                const int column = k % 2 ? x % full : full - x % full;
                const int rest = twice ? row * column / 2 : 0;
                one.weights[0][k] = static_cast<std::int8_t>(row * column - rest);
                one.weights[1][k] = static_cast<std::int8_t>(rest);
            }
        }
    }
}

int Int8Frame::place(int channel) const {
    const int color = channel / (shuffle * shuffle), i = channel / shuffle % shuffle;
    const int at = channel % shuffle * 3 + (swap_rb ? 2 - color : color);
    return i * quads * kQuad + at;
}

Int8Network::Plan::Plan(const std::vector<Convolution>& convolutions, const Epilogue& given)
    : epilogue(given),
      values(values_of(convolutions, given)),
      frame(given),
      margin(values[0].ahead) {
    const std::vector<const Quantization*> steps = steps_of(convolutions, values);
    for (std::size_t n = 0; n < convolutions.size(); ++n) {
        const Convolution& conv = convolutions[n];
        Int8Value& result = values[n + 1];
        require(result.rows > 0 || result.float_rows > 0, n, "nothing reads its result");
        const bool last = n + 1 == convolutions.size();
        Int8Layer layer;
        layer.source = conv.source;
        layer.add = conv.add;
        layer.size = conv.size;
        layer.shuffle = conv.shuffle;
        const int phases = conv.shuffle * conv.shuffle;
        layer.outputs = last ? frame.outputs() : phases * result.quads * kQuad;
        layer.activation = activation_of(conv);
        const std::vector<int> places = places_of(conv, result.quads, last ? &frame : nullptr);
        quantise(conv, n, places, epilogue.swap_rb && conv.source == 0, layer);
        const Wanted wanted = last                    ? Wanted::kPixels
                              : result.float_rows > 0 ? Wanted::kFloats
                                                      : Wanted::kLevels;
        const double added = conv.add > 0 ? values[static_cast<std::size_t>(conv.add)].reach : 0;
        result.reach = requantise(conv, n, places, steps[n + 1], wanted, added, layer);
        const int scale = result.scale / conv.shuffle;
        if (conv.shuffle > 1) {
            shuffled = std::max(shuffled, phases * result.planes());
            shuffled_scale = std::max(shuffled_scale, scale);
        }
        const double times = conv.int8.fine ? 2 : 1;
        work += times * scale * scale * conv.size * conv.size * conv.inputs * conv.outputs;
        layers.push_back(std::move(layer));
    }
}

}  // namespace srsdk::cpu
