#include "chain.cuh"

namespace srsdk::cuda {

const void* chain_function32() { return chain_function<4>(); }

}  // namespace srsdk::cuda
