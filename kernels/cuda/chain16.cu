#include "chain.cuh"

namespace srsdk::cuda {

const void* chain_function16() { return chain_function<2>(); }

}  // namespace srsdk::cuda
