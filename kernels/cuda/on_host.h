// Kernel bodies run by the host, thread after thread, for tests: the code is that of the device.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

#include "portable.h"

namespace srsdk::cuda {

// Runs all blocks on the calling thread. `backward` runs a phase's threads, and the blocks, from
// the last to the first: where the order matters, there is a race. Shared memory holds garbage at
// first, and ends where the kernel was told that it ends.
struct OnHost {
    bool backward;

    template <typename Op>
    void operator()(const Op& op, Extent work, int threads, int shared_bytes) const {
        if (threads < 1 || threads > Op::kThreads || shared_bytes > kMaxShared)
            throw std::bad_alloc();
        const std::int64_t total = work.x * work.y * work.z;
        for (std::int64_t k = 0; k < total; ++k) {
            const std::int64_t at = backward ? total - 1 - k : k;
            const std::size_t size = static_cast<std::size_t>(shared_bytes);
            auto* const shared =
                static_cast<unsigned char*>(::operator new(size, std::align_val_t{16}));
            std::memset(shared, 0xa5, size);
            Block block{at % work.x, at / work.x % work.y, at / work.x / work.y, 0, threads,
                        shared};
            run_from<0>(op, block);
            ::operator delete(shared, std::align_val_t{16});
        }
    }

    template <int phase, typename Op>
    void run_from(const Op& op, Block& block) const {
        for (int k = 0; k < block.threads; ++k) {
            block.thread = backward ? block.threads - 1 - k : k;
            op.template run<phase>(block);
        }
        if constexpr (phase + 1 < Op::kPhases) run_from<phase + 1>(op, block);
    }
};

}  // namespace srsdk::cuda
