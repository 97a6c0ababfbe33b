// Work recorded from a stream once and launched again and again: CUDA graphs.
#pragma once

#include "srsdk/cuda.h"

namespace srsdk::cuda {

// From here on work put on `stream` is recorded instead of done, until a Graph takes it. Throws
// Error.
void begin_capture(Stream stream);

// What was recorded, ready to be launched.
class Graph {
 public:
    // Ends the recording. Throws Error where something was put on the stream that cannot be
    // recorded; the stream is usable again then, too.
    explicit Graph(Stream stream);
    ~Graph();
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;

    // Throws Error.
    void launch(Stream stream) const;

 private:
    void* executable_ = nullptr;  // a cudaGraphExec_t
};

}  // namespace srsdk::cuda
