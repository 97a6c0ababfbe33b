#include <map>
#include <mutex>
#include <tuple>

#include "chain_plan.h"
#include "check.h"
#include "memory.h"
#include "srsdk/cuda_network.h"

namespace srsdk::cuda {

const void* chain_function16();
const void* chain_function24();
const void* chain_function32();
const void* chain_function48();

namespace {

const void* kernel_of(int planes) {
    switch (planes) {
        case 2:
            return chain_function16();
        case 3:
            return chain_function24();
        case 4:
            return chain_function32();
        default:
            return chain_function48();
    }
}

// A copy in memory of the current device, there when this returns.
template <typename T>
std::unique_ptr<Memory> copied(const std::vector<T>& values) {
    const std::size_t bytes = values.size() * sizeof(T);
    auto memory = std::make_unique<Memory>(bytes);
    upload(memory->data(), values.data(), bytes, nullptr);
    synchronize(nullptr);  // small copies from pageable memory may still be on their way
    return memory;
}

int attribute(cudaDeviceAttr which) {
    int device = 0, value = 0;
    check(cudaGetDevice(&device), "asking for the current device");
    check(cudaDeviceGetAttribute(&value, which, device), "asking what the device can do");
    return value;
}

// What the planner has to know; refuses devices without the tensor cores that the kernel uses.
Gpu this_gpu(const void* kernel) {
    const int major = attribute(cudaDevAttrComputeCapabilityMajor);
    if (major < 8) {
        throw Error(
            "the CUDA engine needs a GPU of compute capability 8.0 or newer (Ampere), and "
            "this one is of " +
            std::to_string(major) + "." +
            std::to_string(attribute(cudaDevAttrComputeCapabilityMinor)));
    }
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, kernel), "loading the CUDA engine");
    if (attributes.ptxVersion < 80) {
        throw Error(
            "the CUDA engine was not built for this GPU: rebuild srsdk with "
            "-DSRSDK_CUDA_ARCHITECTURES=all");
    }
    const int shared = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared),
          "asking for shared memory");
    return {attribute(cudaDevAttrMultiProcessorCount), shared};
}

}  // namespace

struct Network::State {
    State(const std::vector<Layer>& layers, const Tail& tail)
        : shape(shape_of(layers, tail)), kernel(kernel_of(shape.planes)), gpu(this_gpu(kernel)) {
        const PackedWeights packed = pack_weights(layers, tail, shape);
        words = copied(packed.words);
        biases = copied(packed.biases);
    }

    const Plan& plan_for(std::int64_t n, std::int64_t h, std::int64_t w) {
        const std::lock_guard<std::mutex> held(mutex);
        const auto size = std::make_tuple(n, h, w);
        const auto found = plans.find(size);
        if (found != plans.end()) return found->second;
        if (plans.size() >= 64) plans.clear();  // sizes that change all the time
        return plans.emplace(size, plan(shape, gpu, n, h, w)).first->second;
    }

    const Shape shape;
    const void* const kernel;
    const Gpu gpu;
    std::unique_ptr<const Memory> words, biases;
    std::mutex mutex;
    std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, Plan> plans;
};

Network::Network(const std::vector<Layer>& layers, const Tail& tail)
    : state_(std::make_unique<State>(layers, tail)) {}

Network::~Network() = default;

int Network::scale() const { return state_->shape.shuffle; }

std::int64_t Network::scratch_bytes(std::int64_t n, std::int64_t h, std::int64_t w) const {
    if (n == 0 || h == 0 || w == 0) return 0;
    return 2 * state_->plan_for(n, h, w).tensor_bytes;
}

void Network::run(const Frames& out, const ConstFrames& in, void* scratch, Stream stream) const {
    if (in.n == 0 || in.h == 0 || in.w == 0) return;
    const Plan launches = state_->plan_for(in.n, in.h, in.w);
    auto* const tensors = static_cast<unsigned char*>(scratch);
    int turn = 0;
    for (const Plan::Step& step : launches.steps) {
        Segment segment = step.segment;
        segment.in = in;
        segment.out = out;
        segment.source = tensors + (turn ^ 1) * launches.tensor_bytes;
        segment.target = tensors + turn * launches.tensor_bytes;
        segment.weights = static_cast<const std::uint32_t*>(state_->words->data()) + step.words;
        segment.biases = static_cast<const float*>(state_->biases->data()) + step.biases;
        void* arguments[] = {&segment};
        const dim3 grid(static_cast<unsigned>(segment.across * segment.down) *
                        static_cast<unsigned>(in.n));
        check(cudaLaunchKernel(state_->kernel, grid,
                               dim3(static_cast<unsigned>(chain_threads(state_->shape.planes))),
                               arguments, static_cast<std::size_t>(segment.shared_bytes),
                               static_cast<cudaStream_t>(stream)),
              "running the CUDA engine");
        turn ^= 1;
    }
}

std::string Network::describe(std::int64_t n, std::int64_t h, std::int64_t w) const {
    return cuda::describe(state_->plan_for(n, h, w), n);
}

}  // namespace srsdk::cuda
