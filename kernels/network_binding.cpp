// srsdk._kernels.Network and Int8Network: argument checks and release of the GIL.
#include "network_binding.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "srsdk/int8_network.h"
#include "srsdk/network.h"

namespace srsdk::python {
namespace {

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Bytes = py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>;

struct Quantization {
    Floats input_step;
    Bytes input_zero;
    Floats weight_step;
    bool fine;
};

// A convolution whose arrays Python owns.
struct Convolution {
    Floats weight, bias;
    int source;
    std::optional<Floats> slope;
    int shuffle, add;
    std::optional<Quantization> int8;
};

cpu::Base base_kind(const std::string& name) {
    if (name == "nearest") return cpu::Base::kNearest;
    if (name == "bilinear") return cpu::Base::kBilinear;
    require(name == "none", "base must be 'none', 'nearest' or 'bilinear', got '" + name + "'");
    return cpu::Base::kNone;
}

template <typename Array>
void require_vector(const Array& values, py::ssize_t size, const std::string& name) {
    require(values.ndim() == 1 && values.shape(0) == size, [&] {
        return name + " of shape " + shape_text(values) + " must have " + std::to_string(size) +
               " values";
    });
}

cpu::Convolution described(const Convolution& layer, std::size_t number) {
    const std::string name = "convolution " + std::to_string(number) + ": ";
    const Floats& weight = layer.weight;
    require(weight.ndim() == 4 && weight.shape(2) == weight.shape(3) && weight.size() > 0, [&] {
        return name + "weight must be (outputs, inputs, k, k), got shape " + shape_text(weight);
    });
    require_vector(layer.bias, weight.shape(0), name + "bias");
    cpu::Convolution conv;
    conv.source = layer.source;
    conv.outputs = static_cast<int>(weight.shape(0));
    conv.inputs = static_cast<int>(weight.shape(1));
    conv.size = static_cast<int>(weight.shape(2));
    conv.weight = weight.data();
    conv.bias = layer.bias.data();
    if (layer.slope) {
        require_vector(*layer.slope, weight.shape(0), name + "slope");
        conv.slope = layer.slope->data();
    }
    conv.shuffle = layer.shuffle;
    conv.add = layer.add;
    if (layer.int8) {
        require_vector(layer.int8->input_step, weight.shape(1), name + "input_step");
        require_vector(layer.int8->input_zero, weight.shape(1), name + "input_zero");
        require_vector(layer.int8->weight_step, weight.shape(0), name + "weight_step");
        conv.int8.input_step = layer.int8->input_step.data();
        conv.int8.input_zero = layer.int8->input_zero.data();
        conv.int8.weight_step = layer.int8->weight_step.data();
        conv.int8.fine = layer.int8->fine;
    }
    return conv;
}

template <typename Network, typename... More>
std::unique_ptr<Network> make(const std::vector<Convolution>& layers, int scale, int shuffle,
                              const std::string& base, bool swap_rb, More... more) {
    std::vector<cpu::Convolution> convolutions;
    for (const Convolution& layer : layers) {
        convolutions.push_back(described(layer, convolutions.size()));
    }
    cpu::Epilogue epilogue;
    epilogue.scale = scale;
    epilogue.shuffle = shuffle;
    epilogue.base = base_kind(base);
    epilogue.swap_rb = swap_rb;
    return std::make_unique<Network>(convolutions, epilogue, more...);
}

template <typename Network>
void run(const Network& network, const py::object& dst, const py::object& batch, int threads,
         double* seconds) {
    py::array out = as_array(dst, "dst");
    const py::array source = as_array(batch, "batch");
    const ConstFrames in = frames(source, "batch");
    const Frames target = output_frames(out, "dst");
    require(out.ndim() == source.ndim() && target.n == in.n && target.h == in.h * network.scale() &&
                target.w == in.w * network.scale(),
            [&] {
                return "dst of shape " + shape_text(out) + " does not fit a batch of shape " +
                       shape_text(source) + " enlarged by " + std::to_string(network.scale());
            });
    refuse_overlap(out, source, "batch");
    check_threads(threads);
    const py::gil_scoped_release released;
    network.run(target, in, threads, seconds);
}

template <typename Network>
void run_into(const Network& network, const py::object& dst, const py::object& batch, int threads) {
    run(network, dst, batch, threads, nullptr);
}

template <typename Network>
std::vector<double> profile_into(const Network& network, const py::object& dst,
                                 const py::object& batch, int threads) {
    std::vector<double> seconds(static_cast<std::size_t>(network.steps()));
    run(network, dst, batch, threads, seconds.data());
    return seconds;
}

template <typename Network>
std::int64_t workspace_bytes(const Network& network, const std::vector<std::int64_t>& shape,
                             int threads) {
    require(shape.size() == 3 && *std::min_element(shape.begin(), shape.end()) >= 0,
            "shape must be (N, H, W), each at least 0");
    check_threads(threads);
    return network.workspace_bytes(shape[0], shape[1], shape[2], threads);
}

template <typename Class>
void bind_methods(Class& bound) {
    using namespace py::literals;
    using Network = typename Class::type;
    bound.def("run_into", &run_into<Network>, "dst"_a, "batch"_a, py::kw_only(), "threads"_a = 0)
        .def("profile_into", &profile_into<Network>, "dst"_a, "batch"_a, py::kw_only(),
             "threads"_a = 0)
        .def("workspace_bytes", &workspace_bytes<Network>, "shape"_a, py::kw_only(),
             "threads"_a = 0);
}

}  // namespace

void bind_network(py::module_& module) {
    using namespace py::literals;
    py::class_<Quantization>(module, "Quantization")
        .def(py::init([](Floats input_step, Bytes input_zero, Floats weight_step, bool fine) {
                 return Quantization{input_step, input_zero, weight_step, fine};
             }),
             py::kw_only(), "input_step"_a, "input_zero"_a, "weight_step"_a, "fine"_a = false)
        .def_readonly("input_step", &Quantization::input_step)
        .def_readonly("input_zero", &Quantization::input_zero)
        .def_readonly("weight_step", &Quantization::weight_step)
        .def_readonly("fine", &Quantization::fine);
    py::class_<Convolution>(module, "Convolution")
        .def(py::init([](Floats weight, Floats bias, int source, std::optional<Floats> slope,
                         int shuffle, int add, std::optional<Quantization> int8) {
                 return Convolution{weight, bias, source, slope, shuffle, add, int8};
             }),
             "weight"_a, "bias"_a, py::kw_only(), "source"_a, "slope"_a = py::none(),
             "shuffle"_a = 1, "add"_a = -1, "int8"_a = py::none())
        .def_readonly("weight", &Convolution::weight)
        .def_readonly("bias", &Convolution::bias)
        .def_readonly("source", &Convolution::source)
        .def_readonly("slope", &Convolution::slope)
        .def_readonly("shuffle", &Convolution::shuffle)
        .def_readonly("add", &Convolution::add)
        .def_readonly("int8", &Convolution::int8);
    py::class_<cpu::Network> network(module, "Network");
    network.def(py::init(&make<cpu::Network, std::int64_t>), "layers"_a, py::kw_only(), "scale"_a,
                "shuffle"_a, "base"_a = "none", "swap_rb"_a = false, "activation_bytes"_a = 0);
    bind_methods(network);
    py::class_<cpu::Int8Network> int8_network(module, "Int8Network");
    int8_network.def(py::init(&make<cpu::Int8Network>), "layers"_a, py::kw_only(), "scale"_a,
                     "shuffle"_a, "base"_a = "none", "swap_rb"_a = false);
    bind_methods(int8_network);
}

}  // namespace srsdk::python
