#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device_array.h"
#include "owned_bindings.h"
#include "runtime.h"
#include "srsdk/cuda_network.h"

namespace srsdk::cuda {
namespace {

using python::require;
using python::shape_text;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

cpu::Base base_of(const std::string& name) {
    require(name == "none" || name == "nearest" || name == "bilinear",
            "base must be 'none', 'nearest' or 'bilinear', got '" + name + "'");
    return name == "none"      ? cpu::Base::kNone
           : name == "nearest" ? cpu::Base::kNearest
                               : cpu::Base::kBilinear;
}

std::unique_ptr<Network> make(const std::vector<std::pair<Floats, Floats>>& layers, int shuffle,
                              const std::string& base, bool swap_rb) {
    std::vector<Layer> checked;
    for (const auto& [weight, bias] : layers) {
        require(weight.ndim() == 4 && weight.shape(2) == weight.shape(3),
                "weights must be (outputs, inputs, k, k), got shape " + shape_text(weight));
        require(bias.ndim() == 1 && bias.shape(0) == weight.shape(0),
                "biases must be (outputs,), got shape " + shape_text(bias));
        checked.push_back({static_cast<int>(weight.shape(1)), static_cast<int>(weight.shape(0)),
                           static_cast<int>(weight.shape(2)), weight.data(), bias.data()});
    }
    const Tail tail{shuffle, base_of(base), swap_rb};
    const py::gil_scoped_release released;
    return std::make_unique<Network>(checked, tail);
}

// The arguments of a call, checked, and their memory as long as it is needed.
struct Call {
    Stream stream;
    DeviceArray out;
    const DeviceArray in;
    Frames dst;
    ConstFrames src;
    void* scratch;

    Call(const Network& network, const py::object& target, const py::object& frames,
         std::uintptr_t room, const py::object& on)
        : stream(stream_of(on)), out(target, "dst", stream), in(frames, "frames", stream) {
        src = python::frames(in.view(), "frames");
        dst = python::output_frames(out.view(), "dst");
        const int scale = network.scale();
        require(out.view().ndim() == in.view().ndim() && dst.n == src.n && dst.h == src.h * scale &&
                    dst.w == src.w * scale,
                "dst of shape " + shape_text(out.view()) + " does not fit frames of shape " +
                    shape_text(in.view()) + " at scale " + std::to_string(scale));
        python::refuse_overlap(out.view(), in.view(), "frames");
        require(room % 16 == 0, "scratch is not aligned to 16 bytes");
        scratch = reinterpret_cast<void*>(room);
    }
};

void run_into(const Network& network, const py::object& dst, const py::object& frames,
              std::uintptr_t scratch, const py::object& stream) {
    Call call(network, dst, frames, scratch, stream);
    const py::gil_scoped_release released;
    const DeviceGuard guard(common_device({&call.out, &call.in}));
    network.run(call.dst, call.src, call.scratch, call.stream);
}

std::vector<std::pair<std::string, float>> tune_into(const Network& network, const py::object& dst,
                                                     const py::object& frames,
                                                     std::uintptr_t scratch,
                                                     const py::object& stream) {
    Call call(network, dst, frames, scratch, stream);
    const py::gil_scoped_release released;
    const DeviceGuard guard(common_device({&call.out, &call.in}));
    std::vector<std::pair<std::string, float>> trials;
    for (const auto& trial : network.tune(call.dst, call.src, call.scratch, call.stream))
        trials.emplace_back(trial.what, trial.milliseconds);
    return trials;
}

}  // namespace

void bind_network(py::module_& module) {
    using namespace py::literals;
    py::class_<Network>(module, "Network")
        .def(py::init(&make), "layers"_a, py::kw_only(), "shuffle"_a, "base"_a, "swap_rb"_a)
        .def("run_into", &run_into, "dst"_a, "frames"_a, py::kw_only(), "scratch"_a, "stream"_a)
        .def("tune_into", &tune_into, "dst"_a, "frames"_a, py::kw_only(), "scratch"_a, "stream"_a)
        .def("scratch_bytes", &Network::scratch_bytes, "count"_a, "height"_a, "width"_a)
        .def("describe", &Network::describe, "count"_a, "height"_a, "width"_a);
}

}  // namespace srsdk::cuda
