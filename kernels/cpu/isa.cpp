// Picks a table of row functions by what the CPU can do.
#include "srsdk/isa.h"

#include <atomic>
#include <cstring>

#include "conv.h"
#include "rows.h"

#if defined(SRSDK_AVX2)
#include <cpuid.h>
#endif

namespace srsdk::cpu {
namespace {

#if defined(SRSDK_AVX2)
bool has_avx2() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
    // These ask the operating system too, whether it saves the wide registers.
    return f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

const Rows* find(const std::string& name) {
#if defined(SRSDK_AVX2)
    if (name == "avx2" && has_avx2()) return &avx2_rows();
#endif
#if defined(SRSDK_NEON)
    if (name == "neon") return &neon_rows();
#endif
    if (name == "portable") return &portable_rows();
    return nullptr;
}

const Rows* best() {
    for (const char* name : {"avx2", "neon"}) {
        if (const Rows* found = find(name)) return found;
    }
    return &portable_rows();
}

std::atomic<const Rows*>& current() {
    static std::atomic<const Rows*> table{best()};
    return table;
}

}  // namespace

const Rows& rows() { return *current().load(std::memory_order_acquire); }

const ConvKernels& convs() {
    const char* const name = rows().name;
#if defined(SRSDK_AVX2)
    if (std::strcmp(name, "avx2") == 0) return avx2_convs();
#endif
#if defined(SRSDK_NEON)
    if (std::strcmp(name, "neon") == 0) return neon_convs();
#endif
    static_cast<void>(name);
    return portable_convs();
}

const char* isa() { return rows().name; }

bool set_isa(const std::string& name) {
    const Rows* found = find(name);
    if (found) current().store(found, std::memory_order_release);
    return found != nullptr;
}

}  // namespace srsdk::cpu
