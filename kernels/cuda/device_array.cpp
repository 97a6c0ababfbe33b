#include "device_array.h"

#include "dlpack.h"
#include "runtime.h"

namespace srsdk::cuda {

using python::require;
using python::shape_text;

namespace {

std::string type_name(const py::object& value) {
    return py::str(py::type::of(value).attr("__name__")).cast<std::string>();
}

// As DLPack and __cuda_array_interface__ number streams: 0 would be ambiguous.
std::intptr_t number(Stream stream) {
    const auto handle = reinterpret_cast<std::intptr_t>(stream);
    return handle == 0 ? 1 : handle;
}

py::dtype dlpack_dtype(const dlpack::Tensor& tensor, const char* name) {
    const char* kind = tensor.code == dlpack::kFloat  ? "f"
                       : tensor.code == dlpack::kUInt ? "u"
                       : tensor.code == dlpack::kInt  ? "i"
                                                      : nullptr;
    require(kind && tensor.lanes == 1 && tensor.bits >= 8 && tensor.bits <= 64,
            std::string(name) + " has a dtype that no kernel takes (DLPack code " +
                std::to_string(tensor.code) + ", " + std::to_string(tensor.bits) + " bits)");
    return py::dtype(kind + std::to_string(tensor.bits / 8));
}

template <typename Managed>
std::shared_ptr<void> adopt(const py::object& capsule, Managed* managed, const char* used) {
    // From here on the tensor is ours to give back, and the capsule's destructor leaves it alone.
    if (PyCapsule_SetName(capsule.ptr(), used) != 0) throw py::error_already_set();
    return {managed, [](Managed* tensor) {
                if (tensor->deleter) tensor->deleter(tensor);
            }};
}

}  // namespace

DeviceArray::DeviceArray(const py::object& value, const char* name, Stream stream) {
    if (py::hasattr(value, "__dlpack__") && py::hasattr(value, "__dlpack_device__")) {
        take_dlpack(value, name, stream);
    } else if (py::hasattr(value, "__cuda_array_interface__")) {
        try {
            take_interface(value.attr("__cuda_array_interface__"), name, stream);
        } catch (const py::cast_error&) {
            throw py::type_error(std::string(name) + ".__cuda_array_interface__ is malformed");
        }
    } else {
        throw py::type_error(std::string(name) +
                             " must be an array in device memory (with __dlpack__ or "
                             "__cuda_array_interface__), got " +
                             type_name(value));
    }
}

void DeviceArray::take_dlpack(const py::object& value, const char* name, Stream stream) {
    using namespace py::literals;
    const auto [type, id] = value.attr("__dlpack_device__")().cast<std::pair<int, int>>();
    // Asked before anything is exported: arrays of the host would refuse the stream.
    require(type == dlpack::kCuda || type == dlpack::kCudaManaged || type == dlpack::kCudaHost,
            std::string(name) + " is not in CUDA memory (DLPack device type " +
                std::to_string(type) + "); copy it to the GPU first, or use srsdk._kernels");
    if (type != dlpack::kCudaHost) device_ = id;
    py::object capsule;
    const py::object export_to = value.attr("__dlpack__");
    try {
        capsule = export_to("stream"_a = number(stream),
                            "max_version"_a = py::make_tuple(dlpack::kMajor, 1));
    } catch (py::error_already_set& error) {  // producers from before DLPack 1.0
        if (!error.matches(PyExc_TypeError)) throw;
        capsule = export_to("stream"_a = number(stream));
    }

    dlpack::Tensor* tensor = nullptr;
    bool read_only = false;
    if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
        auto* const managed = static_cast<dlpack::Versioned*>(
            PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
        owner_ = adopt(capsule, managed, "used_dltensor_versioned");
        require(managed->major == dlpack::kMajor, std::string(name) + " comes as DLPack " +
                                                      std::to_string(managed->major) +
                                                      ".x; srsdk knows 1.x");
        read_only = (managed->flags & dlpack::kReadOnly) != 0;
        tensor = &managed->tensor;
    } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
        auto* const managed =
            static_cast<dlpack::Managed*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
        owner_ = adopt(capsule, managed, "used_dltensor");
        tensor = &managed->tensor;
    } else {
        throw py::type_error(std::string(name) + ".__dlpack__() gave no DLPack capsule, but " +
                             type_name(capsule));
    }

    const py::dtype dtype = dlpack_dtype(*tensor, name);
    std::vector<py::ssize_t> shape(tensor->shape, tensor->shape + tensor->ndim);
    std::vector<py::ssize_t> strides(shape.size());
    py::ssize_t dense = dtype.itemsize();
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        strides[axis] = tensor->strides ? tensor->strides[axis] * dtype.itemsize() : dense;
        dense *= shape[axis];
    }
    void* const data = tensor->data
                           ? advance(tensor->data, static_cast<std::int64_t>(tensor->byte_offset))
                           : nullptr;
    take(dtype, shape, strides, data, read_only, name);
}

void DeviceArray::take_interface(const py::dict& interface, const char* name, Stream stream) {
    const auto get = [&](const char* key) -> py::object {
        return interface.contains(key) ? py::object(interface[key]) : py::none();
    };
    require(!get("shape").is_none() && !get("typestr").is_none() && !get("data").is_none(),
            std::string(name) + ".__cuda_array_interface__ lacks shape, typestr or data");
    require(get("mask").is_none(), std::string(name) + " has a mask, which no kernel takes");
    const py::dtype dtype = py::dtype::from_args(get("typestr"));
    const auto shape = get("shape").cast<std::vector<py::ssize_t>>();
    const auto [data, read_only] = get("data").cast<std::pair<std::uintptr_t, bool>>();
    std::vector<py::ssize_t> strides(shape.size());
    if (get("strides").is_none()) {
        py::ssize_t dense = dtype.itemsize();
        for (std::size_t axis = shape.size(); axis-- > 0;) {
            strides[axis] = dense;
            dense *= shape[axis];
        }
    } else {
        strides = get("strides").cast<std::vector<py::ssize_t>>();
        require(strides.size() == shape.size(),
                std::string(name) + ".__cuda_array_interface__ has strides for another shape");
    }
    take(dtype, shape, strides, reinterpret_cast<void*>(data), read_only, name);

    const py::object producer = get("stream");
    if (producer.is_none()) return;
    const auto handle = producer.cast<std::intptr_t>();
    require(handle != 0, std::string(name) +
                             ".__cuda_array_interface__ has stream 0, which is "
                             "ambiguous; 1 is the legacy default stream");
    if (handle != number(stream)) wait_for(stream, reinterpret_cast<Stream>(handle));
}

void DeviceArray::take(const py::dtype& dtype, const std::vector<py::ssize_t>& shape,
                       const std::vector<py::ssize_t>& strides, void* data, bool read_only,
                       const char* name) {
    bool empty = false;
    for (const py::ssize_t size : shape) {
        require(size >= 0, std::string(name) + " has an axis of negative size");
        empty |= size == 0;
    }
    require(empty || data, std::string(name) + " has a null pointer");
    // With a base, NumPy neither copies nor frees. Without a pointer it would allocate.
    view_ = py::array(dtype, shape, strides, empty ? nullptr : data, py::none());
    if (read_only) view_.attr("setflags")(py::arg("write") = false);
}

Stream stream_of(const py::object& value) {
    if (value.is_none()) return nullptr;
    py::object handle = value;
    if (py::hasattr(value, "__cuda_stream__")) {
        handle = value.attr("__cuda_stream__");
        if (PyCallable_Check(handle.ptr())) handle = handle();
        handle = py::tuple(handle)[1];
    } else if (!py::isinstance<py::int_>(value)) {
        for (const char* name : {"cuda_stream", "ptr", "handle"}) {
            if (py::hasattr(value, name)) {
                handle = value.attr(name);
                break;
            }
        }
    }
    if (py::isinstance<py::bool_>(handle) || !PyIndex_Check(handle.ptr())) {
        throw py::type_error(
            "stream must be None, a handle, or have __cuda_stream__, cuda_stream, ptr or handle; "
            "got " +
            type_name(value));
    }
    return reinterpret_cast<Stream>(py::int_(handle).cast<std::uintptr_t>());
}

int common_device(std::initializer_list<const DeviceArray*> arrays) {
    int device = -1;
    for (const DeviceArray* array : arrays) {
        if (!array || array->device() < 0) continue;
        require(device < 0 || device == array->device(), "arrays are on different devices, " +
                                                             std::to_string(device) + " and " +
                                                             std::to_string(array->device()));
        device = array->device();
    }
    return device;
}

Layout layout_of(const std::string& name) {
    require(name == "NCHW" || name == "NHWC",
            "layout must be 'NCHW' or 'NHWC', got '" + name + "'");
    return name == "NCHW" ? Layout::kNCHW : Layout::kNHWC;
}

namespace {

template <typename View, typename Data>
View tensor_view(const py::array& array, const char* name, Layout layout, Data* data) {
    const bool last = layout == Layout::kNHWC;
    require(array.ndim() == 3 || array.ndim() == 4,
            std::string(name) + " must be " +
                (last ? "(H, W, C) or (N, H, W, C)" : "(C, H, W) or (N, C, H, W)") +
                ", got shape " + shape_text(array));
    const py::ssize_t first = array.ndim() - 3;
    const py::ssize_t c = last ? first + 2 : first, h = last ? first : first + 1, w = h + 1;
    View view;
    view.data = data;
    view.dtype = python::float_dtype(array.dtype(), name);
    view.n = first ? array.shape(0) : 1;
    view.c = array.shape(c);
    view.h = array.shape(h);
    view.w = array.shape(w);
    // Strides of axes of one element mean nothing: make them those of dense memory.
    const std::int64_t size = itemsize(view.dtype);
    view.stride_n = first && view.n > 1 ? array.strides(0) : 0;
    view.stride_c = view.c > 1 ? array.strides(c) : last ? size : 0;
    view.stride_h = view.h > 1 ? array.strides(h) : 0;
    view.stride_w = view.w > 1 ? array.strides(w) : last ? view.c * size : size;
    if (array.size() == 0) return view;
    require((reinterpret_cast<std::intptr_t>(data) | view.stride_n | view.stride_c | view.stride_h |
             view.stride_w) %
                    size ==
                0,
            std::string(name) + " is not aligned to its elements; pass a copy");
    return view;
}

}  // namespace

ConstTensor tensor(const py::array& array, const char* name, Layout layout) {
    return tensor_view<ConstTensor>(array, name, layout, array.data());
}

Tensor output_tensor(py::array& array, const char* name, Layout layout) {
    require(array.writeable(), std::string(name) + " is read-only");
    require(python::elements_apart(array),
            std::string(name) + " has elements that overlap each other");
    return tensor_view<Tensor>(array, name, layout, array.mutable_data());
}

}  // namespace srsdk::cuda
