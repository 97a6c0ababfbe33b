#include "dlpack_export.h"

#include <utility>

#include "../arguments.h"
#include "dlpack.h"

namespace srsdk::cuda {

namespace py = pybind11;

namespace {

constexpr const char* kName = "dltensor";
constexpr const char* kVersionedName = "dltensor_versioned";

// A tensor with what its pointers point to.
template <typename Form>
struct Exported {
    Form managed{};
    std::vector<std::int64_t> shape, strides;
    py::object owner;
};

// Called by the consumer, in whichever thread that is.
template <typename Form>
void give_back(Form* managed) {
    if (!Py_IsInitialized()) return;  // the interpreter is gone, and the owner with it
    const py::gil_scoped_acquire held;
    delete static_cast<Exported<Form>*>(managed->context);
}

// A capsule that nobody took keeps its first name.
template <typename Form>
void drop(PyObject* capsule, const char* name) {
    if (!PyCapsule_IsValid(capsule, name)) return;
    give_back(static_cast<Form*>(PyCapsule_GetPointer(capsule, name)));
}

template <typename Form>
Exported<Form>* exported(py::object owner, std::uintptr_t pointer, std::vector<std::int64_t> shape,
                         const py::dtype& dtype, int device) {
    auto* const made = new Exported<Form>;
    made->owner = std::move(owner);
    made->shape = std::move(shape);
    made->strides.resize(made->shape.size());
    std::int64_t dense = 1;
    for (std::size_t axis = made->shape.size(); axis-- > 0;) {
        made->strides[axis] = dense;
        dense *= made->shape[axis];
    }
    dlpack::Tensor& tensor = made->managed.tensor;
    tensor.data = reinterpret_cast<void*>(pointer);
    tensor.device_type = dlpack::kCuda;
    tensor.device_id = device;
    tensor.ndim = static_cast<std::int32_t>(made->shape.size());
    const char kind = dtype.kind();
    tensor.code = kind == 'f' ? dlpack::kFloat : kind == 'u' ? dlpack::kUInt : dlpack::kInt;
    tensor.bits = static_cast<std::uint8_t>(8 * dtype.itemsize());
    tensor.lanes = 1;
    tensor.shape = made->shape.data();
    tensor.strides = made->strides.data();
    made->managed.context = made;
    made->managed.deleter = &give_back<Form>;
    return made;
}

}  // namespace

py::capsule to_dlpack(py::object owner, std::uintptr_t pointer, std::vector<std::int64_t> shape,
                      const py::object& dtype, int device, bool versioned) {
    const py::dtype type = py::dtype::from_args(dtype);
    python::require(type.kind() == 'f' || type.kind() == 'u' || type.kind() == 'i',
                    "dtype must be of numbers");
    if (!versioned) {
        auto* const made =
            exported<dlpack::Managed>(std::move(owner), pointer, std::move(shape), type, device);
        return py::capsule(&made->managed, kName,
                           [](PyObject* capsule) { drop<dlpack::Managed>(capsule, kName); });
    }
    auto* const made =
        exported<dlpack::Versioned>(std::move(owner), pointer, std::move(shape), type, device);
    made->managed.major = dlpack::kMajor;
    return py::capsule(&made->managed, kVersionedName,
                       [](PyObject* capsule) { drop<dlpack::Versioned>(capsule, kVersionedName); });
}

}  // namespace srsdk::cuda
