#include "arguments.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

namespace srsdk::python {
namespace {

constexpr int kHalf = 23;  // NPY_HALF, which pybind11 does not name

template <typename T>
bool holds(const py::dtype& dtype) {
    return dtype.num() == py::dtype::of<T>().num() && (sizeof(T) == 1 || dtype.byteorder() == '=');
}

std::string text(const py::handle& value) { return py::str(value).cast<std::string>(); }

void require_ndim(const py::array& array, const char* name, const char* shapes, int min_ndim) {
    require(array.ndim() == min_ndim || array.ndim() == min_ndim + 1, [&] {
        return std::string(name) + " must be " + shapes + ", got shape " + shape_text(array);
    });
}

void require_writeable(const py::array& array, const char* name) {
    require(array.writeable(), [&] { return std::string(name) + " is read-only"; });
}

template <typename View, typename Data>
View frames_view(const py::array& array, Data* data) {
    const py::ssize_t first = array.ndim() - 3;
    View view;
    view.data = data;
    view.n = first ? array.shape(0) : 1;
    view.h = array.shape(first);
    view.w = array.shape(first + 1);
    view.stride_n = first ? array.strides(0) : 0;
    view.stride_h = array.strides(first);
    view.stride_w = array.strides(first + 1);
    view.stride_c = array.strides(first + 2);
    return view;
}

template <typename View, typename Data>
View planes_view(const py::array& array, const char* name, Data* data) {
    require_ndim(array, name, "(C, H, W) or (N, C, H, W)", 3);
    const py::ssize_t first = array.ndim() - 3;
    View view;
    view.data = data;
    view.dtype = float_dtype(array.dtype(), name);
    view.n = first ? array.shape(0) : 1;
    view.c = array.shape(first);
    view.h = array.shape(first + 1);
    view.w = array.shape(first + 2);
    view.stride_n = first ? array.strides(0) : 0;
    view.stride_c = array.strides(first);
    view.stride_h = array.strides(first + 1);
    if (array.size() == 0) return view;  // NumPy leaves the strides undefined
    require(view.w <= 1 || array.strides(first + 2) == array.itemsize(), [&] {
        return std::string(name) + " must be contiguous along its last axis; pass a copy";
    });
    bool aligned = reinterpret_cast<std::uintptr_t>(data) % itemsize(view.dtype) == 0;
    for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) {
        aligned &= array.shape(axis) <= 1 || array.strides(axis) % array.itemsize() == 0;
    }
    require(aligned,
            [&] { return std::string(name) + " is not aligned to its elements; pass a copy"; });
    return view;
}

}  // namespace

bool elements_apart(const py::array& array) {
    if (array.size() == 0) return true;
    std::vector<std::pair<std::int64_t, std::int64_t>> axes;
    for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) {
        if (array.shape(axis) > 1) {
            axes.emplace_back(std::llabs(array.strides(axis)), array.shape(axis));
        }
    }
    std::sort(axes.begin(), axes.end());
    std::int64_t extent = array.itemsize();
    for (const auto& [stride, size] : axes) {
        if (stride < extent) return false;
        extent += stride * (size - 1);
    }
    return true;
}

void require(bool condition, const std::string& message) {
    if (!condition) throw py::value_error(message);
}

std::string shape_text(const py::array& array) { return text(array.attr("shape")); }

py::array as_array(const py::object& value, const char* name) {
    if (!py::isinstance<py::array>(value)) {
        throw py::type_error(std::string(name) + " must be a numpy array, got " +
                             text(py::type::of(value).attr("__name__")));
    }
    return py::reinterpret_borrow<py::array>(value);
}

ConstFrames frames(const py::array& array, const char* name) {
    require(holds<std::uint8_t>(array.dtype()),
            [&] { return std::string(name) + " must be uint8, got " + text(array.attr("dtype")); });
    require_ndim(array, name, "(H, W, 3) or (N, H, W, 3)", 3);
    require(array.shape(array.ndim() - 1) == 3, [&] {
        return std::string(name) + " must have 3 channels last, got shape " + shape_text(array);
    });
    auto view = frames_view<ConstFrames>(array, static_cast<const std::uint8_t*>(array.data()));
    if (view.w == 1) view.stride_w = 3 * view.stride_c;  // NumPy leaves it undefined
    return view;
}

Frames output_frames(py::array& array, const char* name) {
    const ConstFrames checked = frames(array, name);
    require_writeable(array, name);
    require(array.size() == 0 || (checked.stride_w == 3 && checked.stride_c == 1), [&] {
        return std::string(name) + " must have contiguous pixels within a row (strides ..., 3, 1)";
    });
    require(elements_apart(array),
            [&] { return std::string(name) + " has elements that overlap each other"; });
    return frames_view<Frames>(array, static_cast<std::uint8_t*>(array.mutable_data()));
}

ConstPlanes planes(const py::array& array, const char* name) {
    return planes_view<ConstPlanes>(array, name, array.data());
}

Planes output_planes(py::array& array, const char* name) {
    require_writeable(array, name);
    require(elements_apart(array),
            [&] { return std::string(name) + " has elements that overlap each other"; });
    return planes_view<Planes>(array, name, array.mutable_data());
}

DType float_dtype(const py::dtype& dtype, const char* name) {
    if (holds<float>(dtype)) return DType::kFloat32;
    if (dtype.num() == kHalf && dtype.byteorder() == '=') return DType::kFloat16;
    throw py::value_error(std::string(name) + " must be float32 or float16, got " + text(dtype));
}

const std::uint16_t* weights(const py::array& array, const char* name, std::int64_t size) {
    require(holds<std::uint16_t>(array.dtype()), [&] {
        return std::string(name) + " must be uint16, got " + text(array.attr("dtype"));
    });
    require(array.ndim() == 1 && array.shape(0) == size, [&] {
        return std::string(name) + " must have shape (" + std::to_string(size) + ",), got " +
               shape_text(array);
    });
    require(size <= 1 || array.strides(0) == 2,
            [&] { return std::string(name) + " must be contiguous"; });
    const auto* data = static_cast<const std::uint16_t*>(array.data());
    require(reinterpret_cast<std::uintptr_t>(data) % 2 == 0,
            [&] { return std::string(name) + " is not aligned to its elements; pass a copy"; });
    for (std::int64_t i = 0; i < size; ++i) {
        require(data[i] <= 256, [&] {
            return std::string(name) + " must be in 0..256, got " + std::to_string(data[i]);
        });
    }
    return data;
}

void check_factor(int r) {
    require(r == 1 || r == 2 || r == 3 || r == 4 || r == 8,
            [&] { return "r must be 1, 2, 3, 4 or 8, got " + std::to_string(r); });
}

const float* channel_values(const py::array& array, const char* name, std::int64_t size) {
    require(holds<float>(array.dtype()), [&] {
        return std::string(name) + " must be float32, got " + text(array.attr("dtype"));
    });
    require(array.ndim() == 1 && array.shape(0) == size, [&] {
        return std::string(name) + " must have shape (" + std::to_string(size) + ",), got " +
               shape_text(array);
    });
    require(size <= 1 || array.strides(0) == 4,
            [&] { return std::string(name) + " must be contiguous"; });
    const auto* data = static_cast<const float*>(array.data());
    require(reinterpret_cast<std::uintptr_t>(data) % 4 == 0,
            [&] { return std::string(name) + " is not aligned to its elements; pass a copy"; });
    return data;
}

cpu::BaseImage base_image(const py::array& dst, int r, const py::array* lr, const std::string& kind,
                          std::optional<int> scale, std::int64_t top, std::int64_t left,
                          bool whole) {
    cpu::BaseImage base;
    if (kind == "nearest") {
        base.kind = cpu::Base::kNearest;
    } else if (kind == "bilinear") {
        base.kind = cpu::Base::kBilinear;
    } else {
        require(kind == "none", "base must be 'none', 'nearest' or 'bilinear', got '" + kind + "'");
    }
    base.scale = scale.value_or(r);
    base.top = top;
    base.left = left;
    require(base.scale >= 1 && base.scale <= cpu::kMaxScale && base.scale % r == 0, [&] {
        return "scale must be a multiple of r = " + std::to_string(r) + " in 1.." +
               std::to_string(cpu::kMaxScale) + ", got " + std::to_string(base.scale);
    });
    require((base.kind == cpu::Base::kNone) == !lr,
            lr ? "lr is given, but base is 'none'"
               : "base '" + kind + "' needs the low-resolution frame lr");
    if (!lr) return base;
    base.lr = frames(*lr, "lr");
    const ConstFrames out = frames(dst, "dst");
    const std::int64_t height = base.lr.h * base.scale, width = base.lr.w * base.scale;
    require(lr->ndim() == dst.ndim() && base.lr.n == out.n, [&] {
        return "lr of shape " + shape_text(*lr) + " does not fit dst of shape " + shape_text(dst);
    });
    require(!whole || (height == out.h && width == out.w), [&] {
        return "lr of shape " + shape_text(*lr) + " times scale " + std::to_string(base.scale) +
               " is not the size of the output, " + shape_text(dst);
    });
    require(top >= 0 && left >= 0 && top <= height - out.h && left <= width - out.w, [&] {
        return "dst of shape " + shape_text(dst) + " at origin (" + std::to_string(top) + ", " +
               std::to_string(left) + ") is not inside lr of shape " + shape_text(*lr) +
               " times scale " + std::to_string(base.scale);
    });
    refuse_overlap(dst, *lr, "lr");
    return base;
}

void check_threads(int threads) {
    require(threads >= 0, [&] {
        return "threads must be 0 (all cores) or more, got " + std::to_string(threads);
    });
}

void refuse_overlap(const py::array& dst, const py::array& source, const char* name) {
    // Exact where bounds alone cannot tell (halves of one canvas, say); NumPy gives up with an
    // exception on contrived strides, which are refused then.
    const py::module_ numpy = py::module_::import("numpy");
    if (!numpy.attr("may_share_memory")(dst, source).cast<bool>()) return;
    bool shared = true;
    try {
        shared = numpy.attr("shares_memory")(dst, source, 1000).cast<bool>();
    } catch (const py::error_already_set&) {
    }
    require(!shared, std::string("dst overlaps ") + name + "; pass a copy of one of them");
}

}  // namespace srsdk::python
