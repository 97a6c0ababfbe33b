// Parts of the module srsdk._kernels_cuda that own something: memory, streams, networks.
#pragma once

#include <pybind11/pybind11.h>

namespace srsdk::cuda {

void bind_memory(pybind11::module_& module);
void bind_network(pybind11::module_& module);

}  // namespace srsdk::cuda
