// The CUDA engine (kernels/cuda/chain.h) behind a C interface, for the host: chain_on_host.py.
#include "../../../kernels/cuda/chain.h"
#include "../../../kernels/cuda/chain_plan.cpp"
#include "../../../kernels/cuda/warps_on_host.h"

using namespace srsdk;
using namespace srsdk::cuda;

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

template <int kPlanes>
void run(const Segment& segment, std::int64_t n, bool backward) {
    const Chain<kPlanes> chain{segment};
    const int blocks = static_cast<int>(segment.across * segment.down * n);
    for (int k = 0; k < blocks; ++k) {
        HostBlock::run([&](const Thread& thread) { chain.run(thread); },
                       backward ? blocks - 1 - k : k, Chain<kPlanes>::kThreads,
                       segment.shared_bytes, backward);
    }
}

std::string last_error;

}  // namespace

EXPORT const char* error() { return last_error.c_str(); }

// `sizes`: inputs, outputs and kernel of each layer. `way`: which plan. The number of launches; -1:
// see error().
EXPORT int run_chain(const Frames* out, const ConstFrames* in, int count, const int* sizes,
                     const float* const* weights, const float* const* biases, int shuffle, int base,
                     int swap_rb, int multiprocessors, int shared_bytes, int way,
                     int backward) try {
    std::vector<Layer> layers;
    for (int k = 0; k < count; ++k) {
        layers.push_back({sizes[3 * k], sizes[3 * k + 1], sizes[3 * k + 2], weights[k], biases[k]});
    }
    const Tail tail{shuffle, static_cast<cpu::Base>(base), swap_rb != 0};
    const Shape shape = shape_of(layers, tail);
    const PackedWeights packed = pack_weights(layers, tail, shape);
    const std::vector<Plan> ways =
        plans(shape, {multiprocessors, shared_bytes}, in->n, in->h, in->w);
    const Plan& launches = ways[std::min(static_cast<std::size_t>(way), ways.size() - 1)];
    std::vector<unsigned char> tensors[2];
    for (auto& tensor : tensors) tensor.assign(launches.tensor_bytes + 16, 0xff);
    const auto aligned = [](std::vector<unsigned char>& tensor) {
        const auto at = reinterpret_cast<std::uintptr_t>(tensor.data());
        return tensor.data() + (16 - at % 16) % 16;
    };
    int turn = 0;
    for (const Plan::Step& step : launches.steps) {
        Segment segment = step.segment;
        if (segment.shared_bytes > shared_bytes) throw std::logic_error("too much shared memory");
        segment.in = *in;
        segment.out = *out;
        segment.source = aligned(tensors[turn ^ 1]);
        segment.target = aligned(tensors[turn]);
        segment.weights = packed.words.data() + step.words;
        segment.biases = packed.biases.data() + step.biases;
        if (shape.planes == 2) run<2>(segment, in->n, backward != 0);
        if (shape.planes == 3) run<3>(segment, in->n, backward != 0);
        if (shape.planes == 4) run<4>(segment, in->n, backward != 0);
        if (shape.planes == 6) run<6>(segment, in->n, backward != 0);
        turn ^= 1;
    }
    return static_cast<int>(launches.steps.size());
} catch (const std::exception& raised) {
    last_error = raised.what();
    return -1;
}
