#include "graph.h"

#include "check.h"

namespace srsdk::cuda {

// Relaxed: what else this process does meanwhile, in another thread or in Python's garbage
// collector, must not spoil the recording.
void begin_capture(Stream stream) {
    check(cudaStreamBeginCapture(static_cast<cudaStream_t>(stream), cudaStreamCaptureModeRelaxed),
          "recording a CUDA graph");
}

Graph::Graph(Stream stream) {
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(static_cast<cudaStream_t>(stream), &graph),
          "recording a CUDA graph");
    cudaGraphExec_t executable = nullptr;
    // With flags: the form without has other parameters in CUDA 11 than in 12.
    const cudaError_t status = cudaGraphInstantiateWithFlags(&executable, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "instantiating a CUDA graph");
    executable_ = executable;
}

Graph::~Graph() { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_)); }

void Graph::launch(Stream stream) const {
    check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable_),
                          static_cast<cudaStream_t>(stream)),
          "launching a CUDA graph");
}

}  // namespace srsdk::cuda
