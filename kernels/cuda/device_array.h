// Python objects that stand for device memory, and streams.
#pragma once

#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../arguments.h"
#include "srsdk/cuda.h"

namespace srsdk::cuda {

namespace py = pybind11;

// An array in device memory, zero copy, as a NumPy array whose memory the host must never touch:
// the checks of arguments.h look at shapes, strides and addresses only.
class DeviceArray {
 public:
    // From DLPack or __cuda_array_interface__. What was put on the array's own stream comes before
    // what is put on `stream`. TypeError for other objects, ValueError for host memory.
    DeviceArray(const py::object& value, const char* name, Stream stream);

    const py::array& view() const { return view_; }
    py::array& view() { return view_; }
    int device() const { return device_; }  // -1: not said

 private:
    void take_dlpack(const py::object& value, const char* name, Stream stream);
    void take_interface(const py::dict& interface, const char* name, Stream stream);
    void take(const py::dtype& dtype, const std::vector<py::ssize_t>& shape,
              const std::vector<py::ssize_t>& strides, void* data, bool read_only,
              const char* name);

    py::array view_;
    int device_ = -1;
    std::shared_ptr<void> owner_;  // gives a DLPack tensor back
};

// None (the legacy default stream), a handle, or an object with __cuda_stream__, ptr (CuPy),
// cuda_stream (torch) or handle (PyCUDA).
Stream stream_of(const py::object& value);

// The device of all arrays that name one; ValueError where they differ.
int common_device(std::initializer_list<const DeviceArray*> arrays);

enum class Layout { kNCHW, kNHWC };
Layout layout_of(const std::string& name);

// float32 or float16 of 3 axes, or 4 with the batch first. Strides are free.
ConstTensor tensor(const py::array& array, const char* name, Layout layout);
// The same, writable, no two elements in one place.
Tensor output_tensor(py::array& array, const char* name, Layout layout);

}  // namespace srsdk::cuda
