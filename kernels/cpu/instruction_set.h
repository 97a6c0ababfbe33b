// What a CPU computes with: the inner functions, compiled for one of its instruction sets.
#pragma once

#include "conv.h"
#include "int8.h"
#include "rows.h"

namespace srsdk::cpu {

struct InstructionSet {
    const char* name;
    bool (*supported)();
    const Rows& rows;
    const ConvKernels& convs;
    const Int8Kernels& int8;
};

// The one in use.
const InstructionSet& instruction_set();

}  // namespace srsdk::cpu
