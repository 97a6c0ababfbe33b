// The instruction sets of this build, and which of them is in use.
#include "srsdk/isa.h"

#include <atomic>
#include <cstdlib>

#include "instruction_set.h"

#if defined(SRSDK_AVX2)
#include <cpuid.h>
#endif
#if defined(SRSDK_NEON) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(SRSDK_NEON) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace srsdk::cpu {
namespace {

bool always() { return true; }

#if defined(SRSDK_AVX2)
// __builtin_cpu_supports asks the operating system too, whether it saves the wide registers.
bool has_avx2() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
    return f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
bool has_avx_vnni() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 4);
}
bool has_avx512_vnni() {
    return has_avx2() && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
#endif

#if defined(SRSDK_NEON)
#if defined(__linux__)
bool has_dot() { return getauxval(AT_HWCAP) & 1ul << 20; }    // HWCAP_ASIMDDP
bool has_i8mm() { return getauxval(AT_HWCAP2) & 1ul << 13; }  // HWCAP2_I8MM
#elif defined(__APPLE__)
bool has_feature(const char* name) {
    int value = 0;
    std::size_t size = sizeof(value);
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
bool has_dot() { return has_feature("hw.optional.arm.FEAT_DotProd"); }
bool has_i8mm() { return has_feature("hw.optional.arm.FEAT_I8MM"); }
#else
bool has_dot() { return false; }
bool has_i8mm() { return false; }
#endif
#endif

// The best first.
const auto& instruction_sets() {
    static const InstructionSet sets[] = {
#if defined(SRSDK_AVX2)
        {"avx512-vnni", has_avx512_vnni, avx2_rows(), avx512_convs(), avx512_vnni_int8()},
        {"avx-vnni", has_avx_vnni, avx2_rows(), avx2_convs(), avx_vnni_int8()},
        {"avx2", has_avx2, avx2_rows(), avx2_convs(), avx2_int8()},
#endif
#if defined(SRSDK_NEON)
        {"neon-i8mm", has_i8mm, neon_rows(), neon_convs(), neon_i8mm_int8()},
        {"neon-dot", has_dot, neon_rows(), neon_convs(), neon_dot_int8()},
        {"neon", always, neon_rows(), neon_convs(), neon_int8()},
#endif
        {"portable", always, portable_rows(), portable_convs(), portable_int8()},
    };
    return sets;
}

const InstructionSet* find(const std::string& name) {
    for (const InstructionSet& set : instruction_sets()) {
        if (name == set.name && set.supported()) return &set;
    }
    return nullptr;
}

// What SRSDK_ISA names, else the best that this CPU has.
const InstructionSet* first_choice() {
    const char* const wanted = std::getenv("SRSDK_ISA");
    if (const InstructionSet* found = wanted ? find(wanted) : nullptr) return found;
    for (const InstructionSet& set : instruction_sets()) {
        if (set.supported()) return &set;
    }
    return nullptr;  // not reached: the last one runs everywhere
}

std::atomic<const InstructionSet*>& current() {
    static std::atomic<const InstructionSet*> set{first_choice()};
    return set;
}

}  // namespace

const InstructionSet& instruction_set() { return *current().load(std::memory_order_acquire); }

const Rows& rows() { return instruction_set().rows; }

const ConvKernels& convs() { return instruction_set().convs; }

const char* isa() { return instruction_set().name; }

bool fast_int8() { return instruction_set().int8.fast; }

bool set_isa(const std::string& name) {
    const InstructionSet* const found = find(name);
    if (found) current().store(found, std::memory_order_release);
    return found != nullptr;
}

std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (const InstructionSet& set : instruction_sets()) {
        if (set.supported()) names.emplace_back(set.name);
    }
    return names;
}

}  // namespace srsdk::cpu
