// What the host does for the kernel of chain.h: weights in its order, and how to cut layers into
// launches and frames into tiles.
#pragma once

#include <string>
#include <vector>

#include "chain_layout.h"
#include "srsdk/cuda_network.h"

namespace srsdk::cuda {

// Weights and biases as the lanes of a warp load them, all layers one after the other.
struct PackedWeights {
    std::vector<std::uint32_t> words;
    std::vector<float> biases;
};

// What a network looks like to the planner.
struct Shape {
    int planes;  // of 8 channels
    int hidden;  // layers
    int last_size, shuffle;
};

// Throws std::invalid_argument where the kernel cannot run the layers, or float16 not hold them.
Shape shape_of(const std::vector<Layer>& layers, const Tail& tail);
PackedWeights pack_weights(const std::vector<Layer>& layers, const Tail& tail, const Shape& shape);

// A GPU as far as the planner is concerned.
struct Gpu {
    int multiprocessors, shared_bytes;
};

// The launches for frames of a size, without pointers but with everything else.
struct Plan {
    struct Step {
        Segment segment;
        std::int64_t words, biases;  // where its weights and biases begin
    };
    std::vector<Step> steps;
    std::int64_t tensor_bytes = 0;  // of the activations between two launches
};

// Ways to run frames of a size, the one that should be the fastest first. Throws
// std::invalid_argument where no tile fits into shared memory.
std::vector<Plan> plans(const Shape& shape, const Gpu& gpu, std::int64_t n, std::int64_t h,
                        std::int64_t w);

// One line a launch: its layers, tiles and shared memory.
std::string describe(const Plan& plan, std::int64_t n);

}  // namespace srsdk::cuda
