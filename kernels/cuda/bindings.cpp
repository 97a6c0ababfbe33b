// The Python module srsdk._kernels_cuda: argument checks and release of the GIL, no arithmetic.
#include <pybind11/stl.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device_array.h"
#include "dlpack_export.h"
#include "graph.h"
#include "owned_bindings.h"
#include "runtime.h"

namespace srsdk::cuda {
namespace {

using python::check_factor;
using python::refuse_overlap;
using python::require;
using python::shape_text;

void unpack_into(const py::object& dst, const py::object& frame, bool swap_rb,
                 const std::string& layout, float scale, const py::object& stream) {
    const Stream on = stream_of(stream);
    DeviceArray out(dst, "dst", on);
    const DeviceArray in(frame, "frame", on);
    const ConstFrames src = python::frames(in.view(), "frame");
    const Tensor planes = output_tensor(out.view(), "dst", layout_of(layout));
    require(out.view().ndim() == in.view().ndim() && planes.n == src.n && planes.c == 3 &&
                planes.h == src.h && planes.w == src.w,
            "dst of shape " + shape_text(out.view()) + " does not fit a frame of shape " +
                shape_text(in.view()) + " in layout " + layout);
    refuse_overlap(out.view(), in.view(), "frame");
    const py::gil_scoped_release released;
    const DeviceGuard guard(common_device({&out, &in}));
    unpack(planes, src, swap_rb, scale, on);
}

struct Shuffle {
    Tensor dst;
    ConstTensor src;
};

Shuffle shuffle_arguments(DeviceArray& dst, const DeviceArray& x, int r,
                          const std::string& layout) {
    check_factor(r);
    const Shuffle views{output_tensor(dst.view(), "dst", layout_of(layout)),
                        tensor(x.view(), "x", layout_of(layout))};
    require(views.src.dtype == views.dst.dtype, "x and dst must have the same dtype");
    require(dst.view().ndim() == x.view().ndim() && views.src.n == views.dst.n &&
                views.src.c == views.dst.c * r * r && views.dst.h == views.src.h * r &&
                views.dst.w == views.src.w * r,
            "dst of shape " + shape_text(dst.view()) + " does not fit x of shape " +
                shape_text(x.view()) + " with r = " + std::to_string(r) + " in layout " + layout);
    refuse_overlap(dst.view(), x.view(), "x");
    return views;
}

void pixel_shuffle_into(const py::object& dst, const py::object& x, int r,
                        const std::string& layout, const py::object& stream) {
    const Stream on = stream_of(stream);
    DeviceArray out(dst, "dst", on);
    const DeviceArray in(x, "x", on);
    const Shuffle views = shuffle_arguments(out, in, r, layout);
    const py::gil_scoped_release released;
    const DeviceGuard guard(common_device({&out, &in}));
    pixel_shuffle(views.dst, views.src, r, on);
}

void pixel_shuffle_prelu_into(const py::object& dst, const py::object& x, int r,
                              const py::object& bias, const py::object& slope,
                              const std::string& layout, const py::object& stream) {
    const Stream on = stream_of(stream);
    DeviceArray out(dst, "dst", on);
    const DeviceArray in(x, "x", on), slopes(slope, "slope", on);
    const Shuffle views = shuffle_arguments(out, in, r, layout);
    PReLU prelu;
    std::optional<DeviceArray> offsets;
    if (!bias.is_none()) {
        offsets.emplace(bias, "bias", on);
        prelu.bias = python::channel_values(offsets->view(), "bias", views.src.c);
        refuse_overlap(out.view(), offsets->view(), "bias");
    }
    prelu.one_slope = slopes.view().ndim() == 1 && slopes.view().shape(0) == 1;
    prelu.slope = python::channel_values(slopes.view(), "slope", prelu.one_slope ? 1 : views.dst.c);
    refuse_overlap(out.view(), slopes.view(), "slope");
    const py::gil_scoped_release released;
    const DeviceGuard guard(common_device({&out, &in, &slopes, offsets ? &*offsets : nullptr}));
    pixel_shuffle_prelu(views.dst, views.src, r, prelu, on);
}

void pack_into(const py::object& dst, const py::object& x, int r, const py::object& lr,
               const std::string& kind, std::optional<int> scale,
               const std::pair<std::int64_t, std::int64_t>& origin, bool swap_rb,
               const py::object& stream) {
    check_factor(r);
    const Stream on = stream_of(stream);
    DeviceArray out(dst, "dst", on);
    const DeviceArray in(x, "x", on);
    std::optional<DeviceArray> frame;
    if (!lr.is_none()) frame.emplace(lr, "lr", on);
    const ConstTensor src = tensor(in.view(), "x", Layout::kNCHW);
    const Frames pixels = python::output_frames(out.view(), "dst");
    require(out.view().ndim() == in.view().ndim() && src.n == pixels.n && src.c == 3 * r * r &&
                pixels.h == src.h * r && pixels.w == src.w * r,
            "dst of shape " + shape_text(out.view()) + " does not fit x of shape " +
                shape_text(in.view()) + " with r = " + std::to_string(r) +
                ": x must be ([N,] 3*r*r, h, w) and dst ([N,] h*r, w*r, 3)");
    refuse_overlap(out.view(), in.view(), "x");
    const cpu::BaseImage base = python::base_image(out.view(), r, frame ? &frame->view() : nullptr,
                                                   kind, scale, origin.first, origin.second, false);
    const py::gil_scoped_release released;
    const DeviceGuard guard(common_device({&out, &in, frame ? &*frame : nullptr}));
    pack(pixels, src, r, base, swap_rb, on);
}

using FaceArguments = std::tuple<py::object, std::int64_t, std::int64_t, py::object, py::object>;

const std::uint16_t* device_weights(const DeviceArray& array, const char* name, std::int64_t size) {
    const py::array& view = array.view();
    require(view.dtype().num() == py::dtype::of<std::uint16_t>().num() && view.ndim() == 1 &&
                view.shape(0) == size && (size <= 1 || view.strides(0) == 2) &&
                reinterpret_cast<std::uintptr_t>(view.data()) % 2 == 0,
            std::string(name) + " must be contiguous uint16 of shape (" + std::to_string(size) +
                ",), got " + py::str(view.dtype()).cast<std::string>() + " of shape " +
                shape_text(view));
    return static_cast<const std::uint16_t*>(view.data());
}

void blend_many_into(const py::object& dst, const std::vector<FaceArguments>& faces,
                     const py::object& stream) {
    const Stream on = stream_of(stream);
    DeviceArray out(dst, "dst", on);
    require(out.view().ndim() == 3, "dst must be (H, W, 3), got shape " + shape_text(out.view()));
    const Frames pixels = python::output_frames(out.view(), "dst");
    std::deque<DeviceArray> arrays;  // kept until the launch
    std::vector<Face> checked;
    int device = out.device();
    const auto take = [&](const py::object& value, const char* name) -> const DeviceArray& {
        const DeviceArray& array = arrays.emplace_back(value, name, on);
        refuse_overlap(out.view(), array.view(), name);
        const int other = common_device({&out, &array});
        if (device < 0) device = other;
        require(other < 0 || other == device, std::string(name) + " is on another device than dst");
        return array;
    };
    for (const auto& [patch, top, left, weight_y, weight_x] : faces) {
        const py::array& source = take(patch, "patch").view();
        require(source.ndim() == 3, "patch must be (H, W, 3), got shape " + shape_text(source));
        Face face;
        face.patch = python::frames(source, "patch");
        face.top = top;
        face.left = left;
        face.weight_y = device_weights(take(weight_y, "weight_y"), "weight_y", face.patch.h);
        face.weight_x = device_weights(take(weight_x, "weight_x"), "weight_x", face.patch.w);
        checked.push_back(face);
    }
    const py::gil_scoped_release released;
    const DeviceGuard guard(device);
    blend(pixels, checked.data(), static_cast<std::int64_t>(checked.size()), on);
}

void blend_into(const py::object& dst, const py::object& patch, std::int64_t top, std::int64_t left,
                const py::object& weight_y, const py::object& weight_x, const py::object& stream) {
    blend_many_into(dst, {{patch, top, left, weight_y, weight_x}}, stream);
}

// ---- streams and graphs

void wait_for_stream(const py::object& stream, const py::object& producer) {
    const Stream on = stream_of(stream), before = stream_of(producer);
    const py::gil_scoped_release released;
    wait_for(on, before);
}

void capture(const py::object& stream) {
    const Stream on = stream_of(stream);
    begin_capture(on);
}

std::unique_ptr<Graph> captured(const py::object& stream) {
    const Stream on = stream_of(stream);
    const py::gil_scoped_release released;
    return std::make_unique<Graph>(on);
}

void launch(const Graph& graph, const py::object& stream) {
    const Stream on = stream_of(stream);
    const py::gil_scoped_release released;
    graph.launch(on);
}

// ---- raw pointers

struct RawArray {
    std::uintptr_t pointer;
    std::vector<std::int64_t> shape;
    py::dtype dtype;
    std::optional<std::vector<std::int64_t>> strides;

    py::dict interface() const {
        py::dict out;
        out["version"] = 3;
        out["shape"] = py::tuple(py::cast(shape));
        out["typestr"] = dtype.attr("str");
        out["data"] = py::make_tuple(pointer, false);
        out["strides"] = strides ? py::object(py::tuple(py::cast(*strides))) : py::none();
        out["stream"] = py::none();
        return out;
    }
};

RawArray raw_array(std::uintptr_t pointer, std::vector<std::int64_t> shape, const py::object& dtype,
                   std::optional<std::vector<std::int64_t>> strides) {
    require(!strides || strides->size() == shape.size(),
            "strides must have as many entries as shape");
    return {pointer, std::move(shape), py::dtype::from_args(dtype), std::move(strides)};
}

}  // namespace

PYBIND11_MODULE(_kernels_cuda, module) {
    using namespace py::literals;
    module.doc() = "CUDA kernels of srsdk; srsdk.reference is their specification.";
    py::register_local_exception_translator([](std::exception_ptr raised) {
        try {
            if (raised) std::rethrow_exception(raised);
        } catch (const Error& error) {
            const py::object type = py::module_::import("srsdk.errors").attr("CudaError");
            PyErr_SetString(type.ptr(), error.what());
        }
    });
    const py::object none = py::none();

    module.def("unpack_into", &unpack_into, "dst"_a, "frame"_a, py::kw_only(), "swap_rb"_a = false,
               "layout"_a = "NCHW", "scale"_a = static_cast<float>(1.0 / 255.0), "stream"_a = none);
    module.def("pixel_shuffle_into", &pixel_shuffle_into, "dst"_a, "x"_a, "r"_a, py::kw_only(),
               "layout"_a = "NCHW", "stream"_a = none);
    module.def("pixel_shuffle_prelu_into", &pixel_shuffle_prelu_into, "dst"_a, "x"_a, "r"_a,
               "bias"_a, "slope"_a, py::kw_only(), "layout"_a = "NCHW", "stream"_a = none);
    module.def("pack_into", &pack_into, "dst"_a, "x"_a, "r"_a, py::kw_only(), "lr"_a = none,
               "base"_a = "none", "scale"_a = none, "origin"_a = py::make_tuple(0, 0),
               "swap_rb"_a = false, "stream"_a = none);
    module.def("blend_into", &blend_into, "dst"_a, "patch"_a, "top"_a, "left"_a, "weight_y"_a,
               "weight_x"_a, py::kw_only(), "stream"_a = none);
    module.def("blend_many_into", &blend_many_into, "dst"_a, "faces"_a, py::kw_only(),
               "stream"_a = none);

    module.def("wait_for", &wait_for_stream, "stream"_a, "producer"_a);
    module.def("begin_capture", &capture, "stream"_a);
    module.def("end_capture", &captured, "stream"_a);
    py::class_<Graph>(module, "Graph").def("launch", &launch, "stream"_a);
    module.def("to_dlpack", &to_dlpack, "owner"_a, "pointer"_a, "shape"_a, "dtype"_a, py::kw_only(),
               "device"_a, "versioned"_a);

    bind_memory(module);
    bind_network(module);

    py::class_<RawArray>(module, "DeviceArray")
        .def(py::init(&raw_array), "pointer"_a, "shape"_a, "dtype"_a, "strides"_a = none)
        .def_property_readonly("__cuda_array_interface__", &RawArray::interface);
}

}  // namespace srsdk::cuda
