// Int8Network on every instruction set: the same bits everywhere. Without Python: for sanitizers
// and for cross builds under an emulator. Prints a hash of all results, which must be the same on
// every machine, and fails where two instruction sets differ.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "srsdk/int8_network.h"
#include "srsdk/isa.h"

namespace {

using srsdk::cpu::Convolution;

std::mt19937 g_random(1);

// The standard says what a generator gives, but not what a distribution makes of it.
float uniform(float low, float high) {
    return low + (high - low) * static_cast<float>(g_random() >> 8) / 16777216.0f;
}

struct Layer {
    Convolution conv;
    std::vector<float> weight, bias, slope, input_step, weight_step;
    std::vector<std::uint8_t> input_zero;
};

enum class After { kNothing, kRelu, kPRelu };

Layer layer(int source, int inputs, int outputs, int size, After after, int add = -1) {
    Layer made;
    const float gain = 1.0f / static_cast<float>(size);
    for (int i = 0; i < outputs * inputs * size * size; ++i) {
        made.weight.push_back(uniform(-gain, gain));
    }
    for (int o = 0; o < outputs; ++o) {
        made.bias.push_back(uniform(-0.1f, 0.1f));
        made.slope.push_back(after == After::kRelu ? 0.0f : uniform(-0.5f, 1.5f));
    }
    if (after == After::kNothing) made.slope.clear();
    for (int c = 0; c < inputs; ++c) {
        made.input_step.push_back(source == 0 ? static_cast<float>(1.0 / 255.0) : 0.02f);
        made.input_zero.push_back(
            static_cast<std::uint8_t>(source == 0 || after == After::kRelu ? 0 : 100));
    }
    made.weight_step.assign(static_cast<std::size_t>(outputs), gain * made.input_step[0] / 100.0f);
    made.conv.source = source;
    made.conv.inputs = inputs;
    made.conv.outputs = outputs;
    made.conv.size = size;
    made.conv.add = add;
    return made;
}

std::vector<std::uint8_t> upscaled(std::vector<Layer>& layers, int scale, std::int64_t h,
                                   std::int64_t w, const std::vector<std::uint8_t>& pixels,
                                   int threads) {
    std::vector<Convolution> convolutions;
    for (Layer& each : layers) {
        each.conv.weight = each.weight.data();
        each.conv.bias = each.bias.data();
        each.conv.slope = each.slope.empty() ? nullptr : each.slope.data();
        each.conv.int8 = {each.input_step.data(), each.input_zero.data(), each.weight_step.data()};
        convolutions.push_back(each.conv);
    }
    // The last one's input in two bytes, unless floats are kept of it.
    Convolution& last = convolutions.back();
    last.int8.fine = last.source > 0 && convolutions[last.source - 1].add < 0;
    srsdk::cpu::Epilogue epilogue;
    epilogue.scale = epilogue.shuffle = scale;
    epilogue.base = srsdk::cpu::Base::kBilinear;
    const srsdk::cpu::Int8Network network(convolutions, epilogue);
    const std::int64_t n = static_cast<std::int64_t>(pixels.size()) / (h * w * 3);
    std::vector<std::uint8_t> out(pixels.size() * static_cast<std::size_t>(scale * scale));
    const srsdk::ConstFrames in{pixels.data(), n, h, w, h * w * 3, w * 3};
    const srsdk::Frames to{out.data(),   n, h * scale, w * scale, h * w * 3 * scale * scale,
                           w * 3 * scale};
    network.run(to, in, threads);
    network.run(to, in, threads);  // on memory that was used before
    return out;
}

std::uint64_t g_hash = 14695981039346656037u;
int g_failed = 0;

void check(std::vector<Layer> layers, int scale, std::int64_t h, std::int64_t w) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(2 * h * w * 3));
    for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(g_random() & 255);
    srsdk::cpu::set_isa("portable");
    const std::vector<std::uint8_t> expected = upscaled(layers, scale, h, w, pixels, 1);
    for (const std::uint8_t byte : expected) g_hash = (g_hash ^ byte) * 1099511628211u;
    for (const std::string& isa : srsdk::cpu::available_isas()) {
        srsdk::cpu::set_isa(isa);
        for (const int threads : {1, 3}) {
            if (upscaled(layers, scale, h, w, pixels, threads) == expected) continue;
            ++g_failed;
            std::printf("%s, %d threads, %dx%d: not the bits of the portable functions\n",
                        isa.c_str(), threads, static_cast<int>(w), static_cast<int>(h));
        }
    }
}

}  // namespace

int main() {
    for (const auto& [h, w] : {std::pair<int, int>{1, 1}, {1, 23}, {7, 3}, {26, 49}}) {
        check({layer(0, 3, 16, 3, After::kRelu), layer(1, 16, 16, 3, After::kRelu),
               layer(2, 16, 48, 1, After::kNothing)},
              4, h, w);
        check({layer(0, 3, 20, 5, After::kPRelu), layer(1, 20, 20, 3, After::kPRelu),
               layer(2, 20, 20, 3, After::kNothing, 1), layer(3, 20, 27, 3, After::kNothing)},
              3, h, w);
        for (const int scale : {1, 2, 8}) {
            check({layer(0, 3, 3 * scale * scale, 7, After::kNothing)}, scale, h, w);
        }
    }
    std::printf("instruction sets:");
    for (const std::string& isa : srsdk::cpu::available_isas()) std::printf(" %s", isa.c_str());
    std::printf("\n%d differ, hash %016llx\n", g_failed, static_cast<unsigned long long>(g_hash));
    return g_failed ? 1 : 0;
}
