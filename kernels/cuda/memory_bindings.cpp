#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <vector>

#include "device_array.h"
#include "memory.h"
#include "owned_bindings.h"

namespace srsdk::cuda {
namespace {

std::uintptr_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

// Pinned memory with the shape of its pixels.
struct PinnedPixels {
    std::vector<py::ssize_t> shape;
    Pinned memory;

    explicit PinnedPixels(std::vector<py::ssize_t> sizes)
        : shape(std::move(sizes)), memory(bytes(shape)) {}

    static std::size_t bytes(const std::vector<py::ssize_t>& sizes) {
        std::size_t total = 1;
        for (const py::ssize_t size : sizes) {
            python::require(size >= 0, "pinned memory of a negative size");
            total *= static_cast<std::size_t>(size);
        }
        return total;
    }
};

void require_contiguous(const py::array& array) {
    python::require((array.flags() & py::array::c_style) != 0,
                    "only contiguous arrays are copied from and to the GPU");
}

void upload_from(std::uintptr_t target, const py::array& source, const py::object& stream) {
    require_contiguous(source);
    const Stream on = stream_of(stream);
    const void* const from = source.data();
    const auto bytes = static_cast<std::size_t>(source.nbytes());
    const py::gil_scoped_release released;
    upload(reinterpret_cast<void*>(target), from, bytes, on);
}

void download_into(py::array target, std::uintptr_t source, const py::object& stream) {
    require_contiguous(target);
    const Stream on = stream_of(stream);
    void* const to = target.mutable_data();
    const auto bytes = static_cast<std::size_t>(target.nbytes());
    const py::gil_scoped_release released;
    download(to, reinterpret_cast<const void*>(source), bytes, on);
}

py::tuple free_and_total() {
    std::size_t free = 0, total = 0;
    memory_info(free, total);
    return py::make_tuple(free, total);
}

}  // namespace

void bind_memory(py::module_& module) {
    using namespace py::literals;
    py::class_<Memory>(module, "Memory")
        .def(py::init<std::size_t>(), "size"_a, py::call_guard<py::gil_scoped_release>())
        .def_property_readonly("pointer",
                               [](const Memory& memory) { return address(memory.data()); });
    py::class_<PinnedPixels>(module, "Pinned")
        .def(py::init<std::vector<py::ssize_t>>(), "shape"_a,
             py::call_guard<py::gil_scoped_release>())
        .def_property_readonly("pixels", [](const py::object& self) {
            const auto& pinned = self.cast<const PinnedPixels&>();
            // With a base: the array keeps the memory alive.
            return py::array(py::dtype::of<std::uint8_t>(), pinned.shape, pinned.memory.data(),
                             self);
        });
    py::class_<OwnStream>(module, "Stream")
        .def(py::init<>())
        .def_property_readonly("handle",
                               [](const OwnStream& stream) { return address(stream.handle()); })
        .def(
            "synchronize", [](const OwnStream& stream) { synchronize(stream.handle()); },
            py::call_guard<py::gil_scoped_release>());
    module.def("upload", &upload_from, "target"_a, "source"_a, "stream"_a);
    module.def("download", &download_into, "target"_a, "source"_a, "stream"_a);
    module.def("memory_info", &free_and_total);
    module.def("device_name", &device_name, "device"_a);
    module.def("current_device", &current_device);
    module.def("use_device", &use_device, "device"_a);
}

}  // namespace srsdk::cuda
