// What the parts of Int8Network share: its layers with their weights packed, and the memory of a
// thread.
#pragma once

#include <cstdint>
#include <vector>

#include "int8.h"
#include "srsdk/int8_network.h"

namespace srsdk::cpu {

// The frame, or a convolution's result. Of its rows, the last few are kept.
struct Int8Value {
    int channels = 3;                 // as the model counts them
    int quads = 1;                    // planes of quads
    int scale = 1;                    // relative to the frame
    int shuffle = 1;                  // of the convolution that makes it
    bool fine = false;                // as many planes follow, of second bytes
    int ahead = 0;                    // rows of the frame that it is ahead of the last value
    int rows = 0;                     // of quads kept; 0: none are made
    int float_rows = 0;               // of floats kept
    double reach = 0;                 // how far from 0 its floats can be
    std::vector<std::uint32_t> zero;  // a quad of zeros in each plane

    int planes() const { return fine ? 2 * quads : quads; }
};

struct Int8Layer {
    int source = 0, add = -1;
    int size = 1, outputs = 0;
    int shuffle = 1;  // the outputs of one place of it follow those of another
    Activation activation = Activation::kNone;
    std::vector<std::int8_t> weight;
    std::vector<std::int32_t> bias, offset;
    std::vector<float> scale, slope, zero, inverse_step;
    std::vector<int> channel;   // the model's number of each output
    std::vector<double> reach;  // how far from 0 the sums can be
};

// The last convolution's outputs in the order in which the frame has their bytes. A row becomes
// `shuffle` rows of the frame, each of 3 * shuffle bytes for each pixel, filled up to whole quads.
struct Int8Frame {
    explicit Int8Frame(const Epilogue& epilogue);

    int outputs() const { return shuffle * quads * kQuad; }
    // Where the model's output number `channel` is put.
    int place(int channel) const;

    int shuffle;
    int quads;  // of a row
    bool swap_rb;
    std::vector<Int8Base> base;  // of each output; none without a base image
    std::int32_t total = 0;      // of an output's weights
    bool twice = false;          // weights are in two parts
    float unit = 0;
};

struct Int8Network::Plan {
    Plan(const std::vector<Convolution>& convolutions, const Epilogue& given);

    Epilogue epilogue;
    std::vector<Int8Value> values;  // the first is the frame; the last is made of bytes of `frame`
    Int8Frame frame;
    int margin;        // rows of the frame on either side that a row depends on
    int shuffled = 0;  // planes of quads on their way through an inner shuffle, at most
    int shuffled_scale = 1;
    std::vector<Int8Layer> layers;
    double work = 0;  // multiply-adds for each pixel of the frame
};

// Quads or floats from plane to plane: room for kSide beside the row, and an odd number of cache
// lines, since planes would otherwise fall on the same few lines of the cache.
constexpr std::int64_t int8_pitch(std::int64_t w) {
    const std::int64_t lines = (w + kSide - 1) / kSide + 2;
    return (lines | 1) * kSide;
}

// (outputs / 8, size, size, quads, 8, 4) from s8 weights (outputs, inputs, size, size).
std::vector<std::int8_t> int8_weights(const std::vector<std::int8_t>& weight, int outputs,
                                      int inputs, int size);

}  // namespace srsdk::cpu
