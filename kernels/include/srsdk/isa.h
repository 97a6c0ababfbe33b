// Which instruction set the CPU launchers use.
#pragma once

#include <string>

namespace srsdk::cpu {

// Name of the row functions in use: "avx2", "neon" or "portable". The best that this CPU has is
// picked on first use.
const char* isa();

// Use other row functions from now on, in all threads; for tests and comparisons.
// Returns false, and changes nothing, where this CPU or this build lacks them.
bool set_isa(const std::string& name);

}  // namespace srsdk::cpu
