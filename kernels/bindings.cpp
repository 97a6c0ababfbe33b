// The Python module srsdk._kernels: argument checks and release of the GIL, no arithmetic.
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "network_binding.h"
#include "srsdk/blend.h"
#include "srsdk/isa.h"
#include "srsdk/pack.h"
#include "srsdk/pixel_shuffle.h"
#include "srsdk/pixel_shuffle_prelu.h"
#include "srsdk/unpack.h"

namespace py = pybind11;

namespace srsdk::python {
namespace {

// ---- unpack

void unpack_checked(py::array& dst, const py::array& frame, bool swap_rb, int threads) {
    const ConstFrames src = frames(frame, "frame");
    const Planes out = output_planes(dst, "dst");
    require(dst.ndim() == frame.ndim() && out.n == src.n && out.c == 3 && out.h == src.h &&
                out.w == src.w,
            [&] {
                return "dst of shape " + shape_text(dst) + " does not fit a frame of shape " +
                       shape_text(frame);
            });
    refuse_overlap(dst, frame, "frame");
    check_threads(threads);
    const py::gil_scoped_release released;
    cpu::unpack(out, src, swap_rb, threads);
}

void unpack_into(const py::object& dst, const py::object& frame, bool swap_rb, int threads) {
    py::array out = as_array(dst, "dst");
    unpack_checked(out, as_array(frame, "frame"), swap_rb, threads);
}

py::array unpack(const py::object& frame, bool swap_rb, const py::object& dtype, int threads) {
    const py::array src = as_array(frame, "frame");
    const py::dtype element = py::dtype::from_args(dtype);
    float_dtype(element, "dtype");
    const ConstFrames view = frames(src, "frame");
    std::vector<py::ssize_t> shape = {3, view.h, view.w};
    if (src.ndim() == 4) shape.insert(shape.begin(), view.n);
    py::array out(element, shape);
    unpack_checked(out, src, swap_rb, threads);
    return out;
}

// ---- pixel_shuffle

// Leading axes folded into one: a view where NumPy can, a copy elsewhere.
py::array fold(const py::array& array) {
    if (array.ndim() <= 4) return array;
    const auto axis = [&](int from_end) { return array.shape(array.ndim() - from_end); };
    py::ssize_t n = 1;
    for (py::ssize_t i = 0; i < array.ndim() - 3; ++i) n *= array.shape(i);
    return array.attr("reshape")(py::make_tuple(n, axis(3), axis(2), axis(1)));
}

void pixel_shuffle_checked(py::array& dst, const py::array& x, int r, int threads) {
    check_factor(r);
    require(dst.ndim() == x.ndim() && x.ndim() >= 3, [&] {
        return "x and dst must be (..., C, H, W) with the same number of axes, got shapes " +
               shape_text(x) + " and " + shape_text(dst);
    });
    for (py::ssize_t i = 0; i < x.ndim() - 3; ++i) {
        require(x.shape(i) == dst.shape(i), [&] {
            return "dst of shape " + shape_text(dst) + " does not fit x of shape " + shape_text(x);
        });
    }
    const py::array folded_x = fold(x);
    py::array folded_dst = fold(dst);
    require(dst.ndim() <= 4 || (dst.flags() & py::array::c_style),
            "dst of more than 4 axes must be contiguous");
    const ConstPlanes src = planes(folded_x, "x");
    const Planes out = output_planes(folded_dst, "dst");
    require(src.dtype == out.dtype, "x and dst must have the same dtype");
    require(src.c == out.c * r * r && out.h == src.h * r && out.w == src.w * r, [&] {
        return "dst of shape " + shape_text(dst) + " does not fit x of shape " + shape_text(x) +
               " with r = " + std::to_string(r);
    });
    refuse_overlap(dst, x, "x");
    check_threads(threads);
    const py::gil_scoped_release released;
    cpu::pixel_shuffle(out, src, r, threads);
}

void pixel_shuffle_into(const py::object& dst, const py::object& x, int r, int threads) {
    py::array out = as_array(dst, "dst");
    pixel_shuffle_checked(out, as_array(x, "x"), r, threads);
}

py::array pixel_shuffle(const py::object& x, int r, int threads) {
    const py::array src = as_array(x, "x");
    check_factor(r);
    require(src.ndim() >= 3,
            [&] { return "x must be (..., C, H, W), got shape " + shape_text(src); });
    std::vector<py::ssize_t> shape(src.shape(), src.shape() + src.ndim());
    py::ssize_t* const last = shape.data() + shape.size() - 3;
    require(last[0] % (r * r) == 0, [&] {
        return "x of shape " + shape_text(src) +
               " does not have a multiple of r * r = " + std::to_string(r * r) + " channels";
    });
    last[0] /= r * r;
    last[1] *= r;
    last[2] *= r;
    py::array out(src.dtype(), shape);
    pixel_shuffle_checked(out, src, r, threads);
    return out;
}

// ---- pixel_shuffle_prelu

void pixel_shuffle_prelu_checked(py::array& dst, const py::array& x, int r, const py::object& bias,
                                 const py::object& slope, int threads) {
    check_factor(r);
    const ConstPlanes src = planes(x, "x");
    const Planes out = output_planes(dst, "dst");
    require(src.dtype == out.dtype, "x and dst must have the same dtype");
    require(dst.ndim() == x.ndim() && src.n == out.n && src.c == out.c * r * r &&
                out.h == src.h * r && out.w == src.w * r,
            [&] {
                return "dst of shape " + shape_text(dst) + " does not fit x of shape " +
                       shape_text(x) + " with r = " + std::to_string(r);
            });
    refuse_overlap(dst, x, "x");
    const float* offsets = nullptr;
    if (!bias.is_none()) {
        const py::array values = as_array(bias, "bias");
        offsets = channel_values(values, "bias", src.c);
        refuse_overlap(dst, values, "bias");
    }
    const py::array values = as_array(slope, "slope");
    const bool one_slope = values.ndim() == 1 && values.shape(0) == 1;
    const float* const slopes = channel_values(values, "slope", one_slope ? 1 : out.c);
    refuse_overlap(dst, values, "slope");
    check_threads(threads);
    const py::gil_scoped_release released;
    cpu::pixel_shuffle_prelu(out, src, r, offsets, slopes, one_slope, threads);
}

void pixel_shuffle_prelu_into(const py::object& dst, const py::object& x, int r,
                              const py::object& bias, const py::object& slope, int threads) {
    py::array out = as_array(dst, "dst");
    pixel_shuffle_prelu_checked(out, as_array(x, "x"), r, bias, slope, threads);
}

py::array pixel_shuffle_prelu(const py::object& x, int r, const py::object& bias,
                              const py::object& slope, int threads) {
    const py::array src = as_array(x, "x");
    check_factor(r);
    const ConstPlanes view = planes(src, "x");
    std::vector<py::ssize_t> shape = {view.c / (r * r), view.h * r, view.w * r};
    if (src.ndim() == 4) shape.insert(shape.begin(), view.n);
    py::array out(src.dtype(), shape);
    pixel_shuffle_prelu_checked(out, src, r, bias, slope, threads);
    return out;
}

// ---- pack

struct Origin {
    std::int64_t top, left;
};

void pack_checked(py::array& dst, const py::array& x, int r, const py::object& lr,
                  const std::string& base_name, std::optional<int> scale, const Origin& origin,
                  bool whole, bool swap_rb, int threads) {
    check_factor(r);
    const ConstPlanes src = planes(x, "x");
    const Frames out = output_frames(dst, "dst");
    require(dst.ndim() == x.ndim() && src.n == out.n && src.c == 3 * r * r && out.h == src.h * r &&
                out.w == src.w * r,
            [&] {
                return "dst of shape " + shape_text(dst) + " does not fit x of shape " +
                       shape_text(x) + " with r = " + std::to_string(r) +
                       ": x must be ([N,] 3*r*r, h, w) and dst " + "([N,] h*r, w*r, 3)";
            });
    refuse_overlap(dst, x, "x");

    std::optional<py::array> frame;
    if (!lr.is_none()) frame = as_array(lr, "lr");
    const cpu::BaseImage base = base_image(dst, r, frame ? &*frame : nullptr, base_name, scale,
                                           origin.top, origin.left, whole);
    check_threads(threads);
    const py::gil_scoped_release released;
    cpu::pack(out, src, r, base, swap_rb, threads);
}

void pack_into(const py::object& dst, const py::object& x, int r, const py::object& lr,
               const std::string& base, std::optional<int> scale,
               const std::pair<std::int64_t, std::int64_t>& origin, bool swap_rb, int threads) {
    py::array out = as_array(dst, "dst");
    pack_checked(out, as_array(x, "x"), r, lr, base, scale, {origin.first, origin.second}, false,
                 swap_rb, threads);
}

py::array pack(const py::object& x, int r, const py::object& lr, const std::string& base,
               std::optional<int> scale, bool swap_rb, int threads) {
    const py::array src = as_array(x, "x");
    check_factor(r);
    const ConstPlanes view = planes(src, "x");
    std::vector<py::ssize_t> shape = {view.h * r, view.w * r, 3};
    if (src.ndim() == 4) shape.insert(shape.begin(), view.n);
    py::array out(py::dtype::of<std::uint8_t>(), shape);
    pack_checked(out, src, r, lr, base, scale, {0, 0}, true, swap_rb, threads);
    return out;
}

// ---- blend

void blend_checked(py::array& dst, const py::object& patch, std::int64_t top, std::int64_t left,
                   const py::object& weight_y, const py::object& weight_x, int threads) {
    require(dst.ndim() == 3, [&] { return "dst must be (H, W, 3), got shape " + shape_text(dst); });
    const Frames out = output_frames(dst, "dst");
    const py::array source = as_array(patch, "patch");
    require(source.ndim() == 3,
            [&] { return "patch must be (H, W, 3), got shape " + shape_text(source); });
    const ConstFrames src = frames(source, "patch");
    refuse_overlap(dst, source, "patch");
    const py::array rows = as_array(weight_y, "weight_y"), columns = as_array(weight_x, "weight_x");
    const std::uint16_t* const wy = weights(rows, "weight_y", src.h);
    const std::uint16_t* const wx = weights(columns, "weight_x", src.w);
    refuse_overlap(dst, rows, "weight_y");
    refuse_overlap(dst, columns, "weight_x");
    check_threads(threads);
    const py::gil_scoped_release released;
    cpu::blend(out, src, top, left, wy, wx, threads);
}

void blend_into(const py::object& dst, const py::object& patch, std::int64_t top, std::int64_t left,
                const py::object& weight_y, const py::object& weight_x, int threads) {
    py::array out = as_array(dst, "dst");
    blend_checked(out, patch, top, left, weight_y, weight_x, threads);
}

py::array blend(const py::object& frame, const py::object& patch, std::int64_t top,
                std::int64_t left, const py::object& weight_y, const py::object& weight_x,
                int threads) {
    const py::array src = as_array(frame, "frame");
    frames(src, "frame");
    py::array out = src.attr("copy")("C");
    blend_checked(out, patch, top, left, weight_y, weight_x, threads);
    return out;
}

// ---- module

void set_isa(const std::string& name) {
    require(cpu::set_isa(name), "instruction set '" + name + "' is not available here");
}

}  // namespace

PYBIND11_MODULE(_kernels, module) {
    using namespace py::literals;
    module.doc() = "Native kernels of srsdk; srsdk.reference is their specification.";
    const py::object float32 = py::module_::import("numpy").attr("float32");

    module.def("unpack", &unpack, "frame"_a, py::kw_only(), "swap_rb"_a = false,
               "dtype"_a = float32, "threads"_a = 0);
    module.def("unpack_into", &unpack_into, "dst"_a, "frame"_a, py::kw_only(), "swap_rb"_a = false,
               "threads"_a = 0);
    module.def("pixel_shuffle", &pixel_shuffle, "x"_a, "r"_a, py::kw_only(), "threads"_a = 0);
    module.def("pixel_shuffle_into", &pixel_shuffle_into, "dst"_a, "x"_a, "r"_a, py::kw_only(),
               "threads"_a = 0);
    module.def("pixel_shuffle_prelu", &pixel_shuffle_prelu, "x"_a, "r"_a, "bias"_a, "slope"_a,
               py::kw_only(), "threads"_a = 0);
    module.def("pixel_shuffle_prelu_into", &pixel_shuffle_prelu_into, "dst"_a, "x"_a, "r"_a,
               "bias"_a, "slope"_a, py::kw_only(), "threads"_a = 0);
    module.def("pack", &pack, "x"_a, "r"_a, py::kw_only(), "lr"_a = py::none(), "base"_a = "none",
               "scale"_a = py::none(), "swap_rb"_a = false, "threads"_a = 0);
    module.def("pack_into", &pack_into, "dst"_a, "x"_a, "r"_a, py::kw_only(), "lr"_a = py::none(),
               "base"_a = "none", "scale"_a = py::none(), "origin"_a = py::make_tuple(0, 0),
               "swap_rb"_a = false, "threads"_a = 0);
    module.def("blend", &blend, "frame"_a, "patch"_a, "top"_a, "left"_a, "weight_y"_a, "weight_x"_a,
               py::kw_only(), "threads"_a = 0);
    module.def("blend_into", &blend_into, "dst"_a, "patch"_a, "top"_a, "left"_a, "weight_y"_a,
               "weight_x"_a, py::kw_only(), "threads"_a = 0);
    bind_network(module);

    module.def("isa", [] { return std::string(cpu::isa()); });
    module.def("set_isa", &set_isa, "name"_a);
    module.def("available_isas", &cpu::available_isas);
    module.def("fast_int8", &cpu::fast_int8);
#if defined(SRSDK_WITH_CUDA)
    module.def("built_with_cuda", [] { return true; });
#else
    module.def("built_with_cuda", [] { return false; });
#endif
}

}  // namespace srsdk::python
