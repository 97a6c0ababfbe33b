// Which instruction set the CPU launchers use.
#pragma once

#include <string>
#include <vector>

namespace srsdk::cpu {

// Name of the instruction set in use: "avx512-vnni", "avx-vnni", "avx2", "neon-i8mm", "neon-dot",
// "neon" or "portable". On first use the one that the environment variable SRSDK_ISA names is
// taken, where this CPU has it, else the best that it has.
const char* isa();

// Whether it multiplies 8-bit integers fast enough that int8 beats float32.
bool fast_int8();

// Use another one from now on, in all threads; for tests and comparisons.
// Returns false, and changes nothing, where this CPU or this build lacks it.
bool set_isa(const std::string& name);

// Those that this CPU and this build have, the best first.
std::vector<std::string> available_isas();

}  // namespace srsdk::cpu
