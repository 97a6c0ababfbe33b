// Device memory handed out as DLPack.
#pragma once

#include <pybind11/stl.h>

#include <cstdint>
#include <vector>

namespace srsdk::cuda {

// A capsule that keeps `owner` alive until its consumer is done: "dltensor", or
// "dltensor_versioned" of DLPack 1.0 for those who know it. Contiguous.
pybind11::capsule to_dlpack(pybind11::object owner, std::uintptr_t pointer,
                            std::vector<std::int64_t> shape, const pybind11::object& dtype,
                            int device, bool versioned);

}  // namespace srsdk::cuda
