#include "chain.cuh"

namespace srsdk::cuda {

const void* chain_function24() { return chain_function<3>(); }

}  // namespace srsdk::cuda
