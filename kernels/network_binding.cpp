// srsdk._kernels.Network: argument checks and release of the GIL.
#include "network_binding.h"

#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "arguments.h"
#include "srsdk/network.h"

namespace srsdk::python {
namespace {

using Values = py::array_t<float, py::array::c_style | py::array::forcecast>;
// source, weight, bias, slope or None, shuffle, add or -1
using LayerArguments = std::tuple<int, Values, Values, py::object, int, int>;

cpu::Base base_kind(const std::string& name) {
    if (name == "nearest") return cpu::Base::kNearest;
    if (name == "bilinear") return cpu::Base::kBilinear;
    require(name == "none", "base must be 'none', 'nearest' or 'bilinear', got '" + name + "'");
    return cpu::Base::kNone;
}

std::unique_ptr<cpu::Network> make(const std::vector<LayerArguments>& layers, int scale,
                                   int shuffle, const std::string& base, bool swap) {
    std::vector<cpu::Convolution> convolutions;
    std::vector<Values> slopes;  // alive until the weights have been packed
    for (const auto& [source, weight, bias, slope, factor, add] : layers) {
        const std::string name = "convolution " + std::to_string(convolutions.size()) + ": ";
        require(weight.ndim() == 4 && weight.shape(2) == weight.shape(3) && weight.size() > 0, [&] {
            return name + "weight must be (outputs, inputs, k, k), got shape " + shape_text(weight);
        });
        require(bias.ndim() == 1 && bias.shape(0) == weight.shape(0), [&] {
            return name + "bias of shape " + shape_text(bias) + " does not fit weight of shape " +
                   shape_text(weight);
        });
        cpu::Convolution conv;
        conv.source = source;
        conv.outputs = static_cast<int>(weight.shape(0));
        conv.inputs = static_cast<int>(weight.shape(1));
        conv.size = static_cast<int>(weight.shape(2));
        conv.weight = weight.data();
        conv.bias = bias.data();
        if (!slope.is_none()) {
            slopes.push_back(slope.cast<Values>());
            require(slopes.back().ndim() == 1 && slopes.back().shape(0) == weight.shape(0),
                    name + "slope must have one value for each output");
            conv.slope = slopes.back().data();
        }
        conv.shuffle = factor;
        conv.add = add;
        convolutions.push_back(conv);
    }
    cpu::Ending ending;
    ending.scale = scale;
    ending.shuffle = shuffle;
    ending.base = base_kind(base);
    ending.swap = swap;
    return std::make_unique<cpu::Network>(convolutions, ending);
}

void run(const cpu::Network& network, const py::object& dst, const py::object& batch, int threads,
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

void run_into(const cpu::Network& network, const py::object& dst, const py::object& batch,
              int threads) {
    run(network, dst, batch, threads, nullptr);
}

std::vector<double> profile_into(const cpu::Network& network, const py::object& dst,
                                 const py::object& batch, int threads) {
    std::vector<double> seconds(static_cast<std::size_t>(network.steps()));
    run(network, dst, batch, threads, seconds.data());
    return seconds;
}

}  // namespace

void bind_network(py::module_& module) {
    using namespace py::literals;
    py::class_<cpu::Network>(module, "Network")
        .def(py::init(&make), "layers"_a, py::kw_only(), "scale"_a, "shuffle"_a, "base"_a = "none",
             "swap"_a = false)
        .def("run_into", &run_into, "dst"_a, "batch"_a, py::kw_only(), "threads"_a = 0)
        .def("profile_into", &profile_into, "dst"_a, "batch"_a, py::kw_only(), "threads"_a = 0);
}

}  // namespace srsdk::python
