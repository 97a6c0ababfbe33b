#include <algorithm>
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

// Time between two points of a stream.
class Stopwatch {
 public:
    explicit Stopwatch(Stream stream) : stream_(static_cast<cudaStream_t>(stream)) {
        check(cudaEventCreate(&begin_), "timing the CUDA engine");
        const cudaError_t status = cudaEventCreate(&end_);
        if (status != cudaSuccess) cudaEventDestroy(begin_);
        check(status, "timing the CUDA engine");
    }
    ~Stopwatch() {
        cudaEventDestroy(begin_);
        cudaEventDestroy(end_);
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

    void start() const { check(cudaEventRecord(begin_, stream_), "timing the CUDA engine"); }
    float stop() const {
        float milliseconds = 0.0f;
        check(cudaEventRecord(end_, stream_), "timing the CUDA engine");
        check(cudaEventSynchronize(end_), "running the CUDA engine");
        check(cudaEventElapsedTime(&milliseconds, begin_, end_), "timing the CUDA engine");
        return milliseconds;
    }

 private:
    cudaStream_t stream_;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

}  // namespace

struct Network::State {
    State(const std::vector<Layer>& layers, const Tail& tail)
        : shape(shape_of(layers, tail)), kernel(kernel_of(shape.planes)), gpu(this_gpu(kernel)) {
        const PackedWeights packed = pack_weights(layers, tail, shape);
        words = copied(packed.words);
        biases = copied(packed.biases);
    }

    struct Known {
        std::vector<Plan> plans;
        bool tuned = false;  // the first is the fastest that was measured
    };

    // Called with the mutex held.
    Known& known(std::int64_t n, std::int64_t h, std::int64_t w) {
        const auto size = std::make_tuple(n, h, w);
        const auto found = sizes.find(size);
        if (found != sizes.end()) return found->second;
        if (sizes.size() >= 64) sizes.clear();  // sizes that change all the time
        return sizes.emplace(size, Known{plans(shape, gpu, n, h, w)}).first->second;
    }

    Plan plan_for(std::int64_t n, std::int64_t h, std::int64_t w) {
        const std::lock_guard<std::mutex> held(mutex);
        return known(n, h, w).plans.front();
    }

    void launch(const Plan& plan, const Frames& out, const ConstFrames& in, void* scratch,
                Stream stream) const {
        auto* const tensors = static_cast<unsigned char*>(scratch);
        int turn = 0;
        for (const Plan::Step& step : plan.steps) {
            Segment segment = step.segment;
            segment.in = in;
            segment.out = out;
            segment.source = tensors + (turn ^ 1) * plan.tensor_bytes;
            segment.target = tensors + turn * plan.tensor_bytes;
            segment.weights = static_cast<const std::uint32_t*>(words->data()) + step.words;
            segment.biases = static_cast<const float*>(biases->data()) + step.biases;
            void* arguments[] = {&segment};
            const dim3 grid(static_cast<unsigned>(segment.across * segment.down) *
                            static_cast<unsigned>(in.n));
            check(cudaLaunchKernel(kernel, grid,
                                   dim3(static_cast<unsigned>(chain_threads(shape.planes))),
                                   arguments, static_cast<std::size_t>(segment.shared_bytes),
                                   static_cast<cudaStream_t>(stream)),
                  "running the CUDA engine");
            turn ^= 1;
        }
    }

    const Shape shape;
    const void* const kernel;
    const Gpu gpu;
    std::unique_ptr<const Memory> words, biases;
    std::mutex mutex;
    std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, Known> sizes;
};

Network::Network(const std::vector<Layer>& layers, const Tail& tail)
    : state_(std::make_unique<State>(layers, tail)) {}

Network::~Network() = default;

int Network::scale() const { return state_->shape.shuffle; }

std::int64_t Network::scratch_bytes(std::int64_t n, std::int64_t h, std::int64_t w) const {
    if (n == 0 || h == 0 || w == 0) return 0;
    const std::lock_guard<std::mutex> held(state_->mutex);
    std::int64_t max_bytes = 0;  // tuning may choose any of them
    for (const Plan& plan : state_->known(n, h, w).plans)
        max_bytes = std::max(max_bytes, plan.tensor_bytes);
    return 2 * max_bytes;
}

void Network::run(const Frames& out, const ConstFrames& in, void* scratch, Stream stream) const {
    if (in.n == 0 || in.h == 0 || in.w == 0) return;
    state_->launch(state_->plan_for(in.n, in.h, in.w), out, in, scratch, stream);
}

std::vector<Network::Trial> Network::tune(const Frames& out, const ConstFrames& in, void* scratch,
                                          Stream stream) const {
    if (in.n == 0 || in.h == 0 || in.w == 0) return {};
    const std::lock_guard<std::mutex> held(state_->mutex);  // one at a time: they would disturb
    State::Known& known = state_->known(in.n, in.h, in.w);
    if (known.tuned) return {};
    constexpr int kRuns = 5;
    std::vector<std::pair<float, Plan>> tried;
    const Stopwatch watch(stream);
    for (const Plan& plan : known.plans) {
        state_->launch(plan, out, in, scratch, stream);
        watch.start();
        for (int k = 0; k < kRuns; ++k) state_->launch(plan, out, in, scratch, stream);
        tried.push_back({watch.stop() / kRuns, plan});
    }
    std::stable_sort(tried.begin(), tried.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Trial> trials;
    known.plans.clear();
    for (const auto& [milliseconds, plan] : tried) {
        known.plans.push_back(plan);
        trials.push_back({cuda::describe(plan, in.n), milliseconds});
    }
    known.tuned = true;
    return trials;
}

std::string Network::describe(std::int64_t n, std::int64_t h, std::int64_t w) const {
    return cuda::describe(state_->plan_for(n, h, w), n);
}

}  // namespace srsdk::cuda
