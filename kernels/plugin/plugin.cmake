# The target srsdk_plugin (libsrsdk_plugin.so), as SRSDK_PLUGIN says: AUTO (where there are CUDA
# kernels and TensorRT's headers), ON, OFF.
#
# The headers come with TensorRT (apt, JetPack, the tar file; not with its wheels) and are public in
# the repository NVIDIA/TensorRT, folder include/. TENSORRT_INCLUDE_DIR says where they are.

set(SRSDK_PLUGIN AUTO CACHE STRING "TensorRT plugin: AUTO, ON or OFF")
set_property(CACHE SRSDK_PLUGIN PROPERTY STRINGS AUTO ON OFF)
if(NOT SRSDK_PLUGIN)
  return()
endif()

# Ends the configuration where the plugin was asked for, and says why there is none elsewhere.
macro(srsdk_no_plugin why)
  if(SRSDK_PLUGIN STREQUAL "AUTO")
    message(STATUS "srsdk: no TensorRT plugin: ${why}")
    return()
  endif()
  message(FATAL_ERROR "SRSDK_PLUGIN=ON: ${why}")
endmacro()

if(WIN32)
  srsdk_no_plugin("it is for Linux")
endif()
if(NOT TARGET srsdk_cuda)
  srsdk_no_plugin("it needs the CUDA kernels")
endif()
find_path(TENSORRT_INCLUDE_DIR NvInferRuntime.h
  HINTS ENV TENSORRT_INCLUDE_DIR PATHS /usr/local/tensorrt/include /usr/local/TensorRT/include)
if(NOT EXISTS "${TENSORRT_INCLUDE_DIR}/NvInferRuntime.h")
  srsdk_no_plugin("TensorRT's headers not found; their folder is -DTENSORRT_INCLUDE_DIR")
endif()
file(STRINGS "${TENSORRT_INCLUDE_DIR}/NvInferRuntime.h" found REGEX "class IPluginV3OneBuild"
  LIMIT_COUNT 1)
if(NOT found)
  srsdk_no_plugin("${TENSORRT_INCLUDE_DIR} is of a TensorRT before 10, without IPluginV3")
endif()
message(STATUS "srsdk: TensorRT plugin with the headers in ${TENSORRT_INCLUDE_DIR}")

# Not linked with TensorRT: whoever loads it brings TensorRT along, or TensorRT-RTX.
add_library(srsdk_plugin MODULE kernels/plugin/plugin.cpp)
target_include_directories(srsdk_plugin SYSTEM PRIVATE
  "${TENSORRT_INCLUDE_DIR}" ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
target_compile_options(srsdk_plugin PRIVATE -Wall -Wextra)
target_link_libraries(srsdk_plugin PRIVATE srsdk_cuda)
target_link_options(srsdk_plugin PRIVATE -Wl,--no-undefined -Wl,--exclude-libs,ALL)
set_target_properties(srsdk_plugin PROPERTIES PREFIX lib LINKER_LANGUAGE CXX)
install(TARGETS srsdk_plugin LIBRARY DESTINATION srsdk)
