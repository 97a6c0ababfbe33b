// What the kernel of chain.h and those that feed it agree on: tiles, buffers, the order of weights.
#pragma once

#include "portable.h"
#include "srsdk/views.h"

namespace srsdk::cuda {

// Activations of a tile in shared memory: planes of 8 channels, 16 bytes a pixel.
struct Buffer {
    int offset, plane;  // in bytes
    SRSDK_HD int at(int p, int pixel) const { return offset + p * plane + 16 * pixel; }
};

// One launch. Everything about a tile is counted in pixels of the low resolution.
struct Segment {
    ConstFrames in;               // for the first layer and for the base image
    Frames out;                   // for the last layer
    const unsigned char* source;  // activations (n, planes, h, w, 8) unless first
    unsigned char* target;        // the same, unless last
    const std::uint32_t* weights;
    const float* biases;
    int w, h;
    int across, down;  // tiles
    int tile_w, tile_h;
    int margin;  // around the tile: of the first layer's output, or of the tensor that is loaded
    int hidden;  // layers
    bool first, last;
    int last_size, shuffle;
    Buffer buffers[2];
    int pitch, frame_pitch;         // pixels
    int frame_bytes, staged_pitch;  // bytes
    int shared_bytes;
};

// Channels are counted in planes of 8; a warp makes `tiles` planes of output at a time, as many as
// its registers hold the weights of.
SRSDK_HD constexpr int chain_tiles(int planes) { return planes == 3 ? 3 : 2; }
SRSDK_HD constexpr int chain_threads(int planes) { return planes == 2 ? 512 : 256; }
constexpr int kLastTiles = 2;

// Words of weights: 32 lanes for each register.
SRSDK_HD constexpr int first_words(int planes) { return 3 * 2 * planes * 32; }
SRSDK_HD constexpr int hidden_words(int planes) { return 9 * planes * planes * 32; }
// One slice of the last layer, with the frame's weights for the base image.
SRSDK_HD constexpr int last_words(int planes, int size) {
    return (size * size * planes + 3 * 2) * kLastTiles * 32;
}

// The last layer makes 16 columns at a time, four for each lane of a quad: bytes of one row of the
// frame, as they follow each other there.
SRSDK_HD int last_slices(int r) { return r == 8 ? 12 : r >= 3 ? 3 : 1; }

struct LastBytes {
    int row, byte, count;  // of the pixel's r rows; of its 3 * r bytes there; of 4
};
SRSDK_HD LastBytes last_bytes(int r, int quad, int slice) {
    if (r == 1) return {0, 0, quad == 0 ? 3 : 0};
    if (r == 2) return {quad / 2, 3 * (quad % 2), 3};
    if (r == 3) return {quad < 3 ? quad : 0, 4 * slice, quad == 3 ? 0 : slice == 2 ? 1 : 4};
    if (r == 4) return {quad, 4 * slice, 4};
    return {quad + slice / 6 * 4, slice % 6 * 4, 4};
}

}  // namespace srsdk::cuda
