// Rows of an image, shared out over a small pool of threads.
#pragma once

#include <cstdint>

namespace srsdk::cpu {

// Part of a job: rows [begin, end), with scratch memory number `slot`.
using RowTask = void (*)(const void* context, int slot, std::int64_t begin, std::int64_t end);

// How many threads a job of `rows` rows that moves `bytes` bytes is worth, at most `requested`
// (0: as many as the process may run on). Small jobs stay on the caller's thread.
int team_size(std::int64_t rows, std::int64_t bytes, int requested);

// Run `task` over all rows on `team` threads, the caller's among them, and wait. Each thread has a
// slot of its own in [0, team). May be called from several threads at once. `task` must not throw.
void run_rows(RowTask task, const void* context, std::int64_t rows, int team);

// The same for a callable f(slot, begin, end).
template <typename F>
void for_rows(std::int64_t rows, int team, const F& f) {
    run_rows([](const void* context, int slot, std::int64_t begin,
                std::int64_t end) { (*static_cast<const F*>(context))(slot, begin, end); },
             &f, rows, team);
}

}  // namespace srsdk::cpu
