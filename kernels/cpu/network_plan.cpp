// Network, before the first frame: sizes checked, weights packed, memory shared out.
#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "network.h"
#include "winograd.h"

namespace srsdk::cpu {
namespace {

constexpr int kLargestSize = 31;

int round_up(int value, int step) { return (value + step - 1) / step * step; }

void require(bool condition, std::size_t layer, const std::string& message) {
    if (!condition) {
        throw std::invalid_argument("convolution " + std::to_string(layer) + ": " + message);
    }
}

// Values by number: the frame, then each convolution's result.
std::vector<Value> values_of(const std::vector<Convolution>& convolutions,
                             const Epilogue& epilogue) {
    std::vector<Value> values(1);
    values[0].count = values[0].channels = 3;
    for (std::size_t n = 0; n < convolutions.size(); ++n) {
        const Convolution& conv = convolutions[n];
        const int number = static_cast<int>(n);
        require(conv.source >= 0 && conv.source <= number, n, "reads a value that is not there");
        Value& source = values[static_cast<std::size_t>(conv.source)];
        require(conv.inputs == source.count, n, "its inputs are not the channels that it reads");
        require(conv.size >= 1 && conv.size % 2 == 1 && conv.size <= kLargestSize, n,
                "its size is not odd and at most " + std::to_string(kLargestSize));
        require(conv.shuffle >= 1 && conv.outputs >= 1 &&
                    conv.outputs % (conv.shuffle * conv.shuffle) == 0,
                n, "its outputs cannot be shuffled by " + std::to_string(conv.shuffle));
        source.last_use = number;
        Value result;
        result.count = conv.outputs / (conv.shuffle * conv.shuffle);
        result.channels = round_up(result.count, kLanes);
        result.scale = source.scale * conv.shuffle;
        if (conv.add >= 0) {
            require(conv.add > 0 && conv.add <= number, n, "adds a value that is not there");
            Value& added = values[static_cast<std::size_t>(conv.add)];
            require(added.count == result.count && added.scale == result.scale, n,
                    "adds a value of another shape");
            added.last_use = number;
        }
        values.push_back(result);
    }
    const int r = epilogue.shuffle;
    if (convolutions.empty() || values.back().count != 3 * r * r ||
        values.back().scale * r != epilogue.scale ||
        (r != 1 && r != 2 && r != 3 && r != 4 && r != 8) || epilogue.scale > kMaxScale) {
        throw std::invalid_argument("the last convolution's result is not the epilogue's");
    }
    return values;
}

// Which channel of the convolution becomes packed output o, or -1.
std::vector<int> output_order(const Layer& layer, int outputs) {
    const int phases = layer.shuffle * layer.shuffle, count = outputs / phases;
    std::vector<int> order(static_cast<std::size_t>(layer.blocks * kBlock), -1);
    for (int o = 0; o < phases * layer.dst_channels; ++o) {
        const int phase = o / layer.dst_channels, channel = o % layer.dst_channels;
        if (channel < count) order[static_cast<std::size_t>(o)] = channel * phases + phase;
    }
    return order;
}

void pack_weights(const Convolution& conv, bool swap_rb, Layer& layer) {
    const std::vector<int> order = output_order(layer, conv.outputs);
    const std::size_t taps = static_cast<std::size_t>(conv.size) * conv.size;
    std::vector<float> weight(conv.weight, conv.weight + taps * conv.inputs * conv.outputs);
    if (swap_rb) {
        for (int o = 0; o < conv.outputs; ++o) {
            float* const first = weight.data() + 3 * taps * o;
            std::swap_ranges(first, first + taps, first + 2 * taps);
        }
    }
    layer.weight = (layer.winograd ? winograd_weights : direct_weights)(
        weight.data(), conv.inputs, conv.size, order, layer.channels);
    layer.bias.assign(order.size(), 0.0f);
    layer.slope.assign(order.size(), 0.0f);
    bool sloped = false;
    for (std::size_t o = 0; o < order.size(); ++o) {
        if (order[o] < 0) continue;
        layer.bias[o] = conv.bias[order[o]];
        if (conv.slope) layer.slope[o] = conv.slope[order[o]];
        sloped |= layer.slope[o] != 0.0f;
    }
    layer.activation = !conv.slope ? Activation::kNone
                       : sloped    ? Activation::kPRelu
                                   : Activation::kRelu;
}

}  // namespace

Network::Plan::Plan(const std::vector<Convolution>& convolutions, const Epilogue& given)
    : epilogue(given), values(values_of(convolutions, given)), buffers(1) {
    values[0].buffer = 0;
    buffers[0].channels = 3;
    std::vector<int> busy_until = {values[0].last_use};  // the layer that a buffer's value is for
    for (std::size_t n = 0; n < convolutions.size(); ++n) {
        const Convolution& conv = convolutions[n];
        const Value& source = values[static_cast<std::size_t>(conv.source)];
        Value& result = values[n + 1];
        const bool is_last = n + 1 == convolutions.size();

        Layer layer;
        layer.source = conv.source;
        layer.add = conv.add;
        layer.scale = source.scale;
        layer.size = conv.size;
        layer.channels = source.channels;
        layer.shuffle = conv.shuffle;
        layer.dst_channels = result.channels;
        layer.vectors = conv.shuffle * conv.shuffle * result.channels / kLanes;
        layer.blocks = (layer.vectors + 1) / 2;
        layer.winograd = (conv.size == 3 || conv.size == 5) && source.channels >= kLanes &&
                         source.channels % kLanes == 0;
        pack_weights(conv, epilogue.swap_rb && conv.source == 0, layer);
        work += double{1} * source.scale * source.scale * conv.size * conv.size * conv.inputs *
                conv.outputs / (layer.winograd ? 3 : 1);
        layers.push_back(std::move(layer));

        // The rows of a last plain convolution go to the frame while they are in the cache.
        if (is_last && !layers.back().winograd && conv.add < 0) continue;
        std::size_t buffer = 1;
        const auto fits = [&](std::size_t p) {
            return buffers[p].channels == result.channels && buffers[p].scale == result.scale &&
                   busy_until[p] < static_cast<int>(n);
        };
        while (buffer < buffers.size() && !fits(buffer)) ++buffer;
        if (buffer == buffers.size()) {
            buffers.emplace_back();
            busy_until.push_back(0);
            buffers[buffer].channels = result.channels;
            buffers[buffer].scale = result.scale;
        }
        busy_until[buffer] = std::max(result.last_use, static_cast<int>(n) + 1);
        result.buffer = static_cast<int>(buffer);
    }
    // Buffers of one kind have one layout, so that a sum's columns are the same in both.
    for (const Layer& layer : layers) {
        const Buffer read = kind(static_cast<std::size_t>(layer.source));
        for (Buffer& buffer : buffers) {
            if (buffer.channels != read.channels || buffer.scale != read.scale) continue;
            buffer.before = std::max(buffer.before, layer.size / 2);
            buffer.after = std::max(buffer.after, layer.size / 2);
        }
    }
}

}  // namespace srsdk::cpu
