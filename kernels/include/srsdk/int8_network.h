// Int8Network: a chain of convolutions in 8-bit integers, from u8 frames to u8 frames.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "srsdk/network.h"

namespace srsdk::cpu {

// Every thread takes a band of rows through all layers and keeps of each layer only the rows that
// the next ones still read. All instruction sets, thread counts and tilings give the same bits.
class Int8Network {
 public:
    // Every convolution needs its Quantization. Shuffled values cannot be added, and with a base
    // image none but the last value, by the epilogue, may be shuffled. Throws
    // std::invalid_argument where sizes or steps do not fit each other. All is copied.
    Int8Network(const std::vector<Convolution>& layers, const Epilogue& epilogue);
    ~Int8Network();

    // As Network::run. `seconds`: where to write what each of `steps()` steps took, or null.
    void run(const Frames& out, const ConstFrames& in, int threads,
             double* seconds = nullptr) const;

    // As Network::workspace_bytes.
    std::int64_t workspace_bytes(std::int64_t n, std::int64_t h, std::int64_t w, int threads) const;

    int scale() const;
    // Reading the frame, each convolution, and writing the frame.
    int steps() const;

 private:
    struct Plan;
    class Band;
    struct Workspace;

    int team(std::int64_t n, std::int64_t h, std::int64_t w, int threads) const;
    std::unique_ptr<Workspace> take(std::int64_t w) const;
    void give_back(std::unique_ptr<Workspace> workspace) const;

    std::unique_ptr<const Plan> plan_;
    mutable std::mutex mutex_;
    mutable std::vector<std::unique_ptr<Workspace>> idle_;  // the last used at the end
};

}  // namespace srsdk::cpu
