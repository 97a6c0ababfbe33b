// Checks of Python arguments: NumPy arrays in, views out, or ValueError and TypeError that say
// which argument is wrong and how.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <type_traits>

#include "srsdk/pack.h"
#include "srsdk/views.h"

namespace srsdk::python {

namespace py = pybind11;

// `value` as an array; TypeError for anything that is not one.
py::array as_array(const py::object& value, const char* name);

// u8, (h, w, 3) or (n, h, w, 3), any strides. `batched` says which.
ConstFrames frames(const py::array& array, const char* name);
// The same, writable, with contiguous pixels and rows that do not overlap.
Frames output_frames(py::array& array, const char* name);

// float32 or float16, (c, h, w) or (n, c, h, w), contiguous along w.
ConstPlanes planes(const py::array& array, const char* name);
Planes output_planes(py::array& array, const char* name);

DType float_dtype(const py::dtype& dtype, const char* name);

// Contiguous (size,) uint16 in 0..256.
const std::uint16_t* weights(const py::array& array, const char* name, std::int64_t size);

// Contiguous (size,) float32.
const float* channel_values(const py::array& array, const char* name, std::int64_t size);

// The base image of pack, `lr` (null: none), checked against dst, which frames() takes. `whole`: it
// must be as large as dst.
cpu::BaseImage base_image(const py::array& dst, int r, const py::array* lr, const std::string& kind,
                          std::optional<int> scale, std::int64_t top, std::int64_t left,
                          bool whole);

// Whether no two elements share memory, as far as sorted strides can tell.
bool elements_apart(const py::array& array);
void check_factor(int r);
void check_threads(int threads);
// Throws ValueError unless the condition holds.
void require(bool condition, const std::string& message);
// The same for messages that take long to put together, NumPy's names for dtypes above all.
template <typename Message, typename = std::enable_if_t<std::is_invocable_v<Message>>>
void require(bool condition, const Message& message) {
    if (!condition) throw py::value_error(message());
}
void refuse_overlap(const py::array& dst, const py::array& source, const char* name);
std::string shape_text(const py::array& array);

}  // namespace srsdk::python
