# The target srsdk_cuda, as SRSDK_CUDA says: AUTO (where a CUDA compiler works), ON, OFF.
#
# SRSDK_CUDA_ARCHITECTURES says for which GPUs:
#   (empty)  the GPU of this machine; without one, PTX, which the driver of any GPU compiles when a
#            kernel is first used. Builds quickly.
#   all      machine code for every supported architecture that the compiler knows, and PTX for
#            those to come. What a wheel for others wants: the preset "cuda-all".
#   a list   as CMAKE_CUDA_ARCHITECTURES, for example "87" for a Jetson Orin.

set(SRSDK_CUDA AUTO CACHE STRING "CUDA kernels: AUTO, ON or OFF")
set_property(CACHE SRSDK_CUDA PROPERTY STRINGS AUTO ON OFF)
set(SRSDK_CUDA_ARCHITECTURES "" CACHE STRING "GPUs: empty (this machine's), all, or a list")

if(NOT SRSDK_CUDA)
  return()
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(SRSDK_CUDA STREQUAL "AUTO")
    message(STATUS "srsdk: no CUDA compiler that works, so no CUDA kernels")
    return()
  endif()
  message(FATAL_ERROR "SRSDK_CUDA=ON needs a CUDA compiler: put nvcc on PATH or set CUDACXX")
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES OFF)  # per target, below
endif()
enable_language(CUDA)

execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --list-gpu-code OUTPUT_VARIABLE known)
set(supported "")  # 72 is the oldest that the kernels are written for
foreach(sm 72 75 80 86 87 89 90 100 120)
  if(known MATCHES "sm_${sm}[^0-9]")
    list(APPEND supported ${sm})
  endif()
endforeach()

set(architectures ${SRSDK_CUDA_ARCHITECTURES})
if(architectures STREQUAL "all")
  list(TRANSFORM supported APPEND "-real" OUTPUT_VARIABLE architectures)
  # PTX of 10.x too: a GPU of 11.x takes neither machine code of 10.0 nor PTX of 12.0.
  list(GET supported -1 newest)
  foreach(sm 100 ${newest})
    if(sm IN_LIST supported)
      list(APPEND architectures "${sm}-virtual")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES architectures)
elseif(NOT architectures)
  # Prints the compute capabilities of the GPUs here; fails, or is not there, without one.
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE found ERROR_QUIET)
  string(REGEX MATCHALL "[0-9]+\\.[0-9]+" found "${found}")
  list(REMOVE_DUPLICATES found)
  foreach(capability ${found})
    string(REPLACE "." "" sm "${capability}")
    if(known MATCHES "sm_${sm}[^0-9]" AND NOT sm LESS 72)
      list(APPEND architectures "${sm}")
    endif()
  endforeach()
  if(NOT architectures)
    list(GET supported 0 oldest)
    set(architectures "${oldest}-virtual" "80-virtual")  # 80: the engine on tensor cores
  endif()
endif()
message(STATUS "srsdk: CUDA kernels for ${architectures}")

add_library(srsdk_cuda STATIC
  kernels/cuda/blend.cu
  kernels/cuda/chain16.cu
  kernels/cuda/chain24.cu
  kernels/cuda/chain32.cu
  kernels/cuda/chain48.cu
  kernels/cuda/chain_plan.cpp
  kernels/cuda/graph.cpp
  kernels/cuda/memory.cpp
  kernels/cuda/network.cpp
  kernels/cuda/pack.cu
  kernels/cuda/pixel_shuffle.cu
  kernels/cuda/pixel_shuffle_prelu.cu
  kernels/cuda/runtime.cpp
  kernels/cuda/unpack.cu)
target_include_directories(srsdk_cuda PUBLIC kernels/include
  PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
set_target_properties(srsdk_cuda PROPERTIES
  CUDA_ARCHITECTURES "${architectures}"
  CUDA_STANDARD 17
  CUDA_STANDARD_REQUIRED ON
  CUDA_RUNTIME_LIBRARY Static
  CUDA_VISIBILITY_PRESET hidden)
# --fmad: contraction into fused multiply-adds would change the rounding of pack.
# -v: registers and spills in the log, where a test reads them.
target_compile_options(srsdk_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Xptxas=-v>)
