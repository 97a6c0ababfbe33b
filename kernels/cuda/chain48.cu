#include "chain.cuh"

namespace srsdk::cuda {

const void* chain_function48() { return chain_function<6>(); }

}  // namespace srsdk::cuda
