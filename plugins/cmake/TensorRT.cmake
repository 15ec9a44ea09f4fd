# Finds TensorRT's headers and those of the CUDA runtime that they include; nothing of TensorRT is needed for linking.
# Included after Cuda.cmake. Sets
#   VMEXPORT_TENSORRT_ENABLED      whether targets that include NvInfer.h are built; they link vmexport_tensorrt_headers
#   VMEXPORT_TENSORRT_SKIP_REASON  why not, and what to install
#   VMEXPORT_TENSORRT_INCLUDE      the folder of NvInfer.h
#   VMEXPORT_TENSORRT_VERSION      "10.3.0"; VMEXPORT_TENSORRT_MAJOR and VMEXPORT_TENSORRT_MINOR are its parts
#   VMEXPORT_TENSORRT_CUDA_INCLUDE the folder of cuda_runtime_api.h
#   VMEXPORT_TENSORRT_LIBRARY      libnvinfer.so and libnvonnxparser.so of the same installation, or empty: they are
#   VMEXPORT_TENSORRT_PARSER       on machines that build engines, and may be missing where only headers are
#   VMEXPORT_TENSORRT_DETAIL       one line for the report
set(VMEXPORT_TENSORRT AUTO CACHE STRING "TensorRT targets: AUTO (where its headers are), ON (an error where not), OFF")
set_property(CACHE VMEXPORT_TENSORRT PROPERTY STRINGS AUTO ON OFF)
set(VMEXPORT_TENSORRT_INCLUDE_DIR "" CACHE PATH "Folder of NvInfer.h; empty: find it")

set(VMEXPORT_TENSORRT_ENABLED OFF)
set(VMEXPORT_TENSORRT_SKIP_REASON "")
set(VMEXPORT_TENSORRT_NEWEST_MAJOR 11)

include(${CMAKE_CURRENT_LIST_DIR}/TensorRTHeaders.cmake)

# The folder of cuda_runtime_api.h: beside the compiler, or one of the usual ones (the headers need no compiler).
function(_vmexport_tensorrt_find_cuda result)
  set(roots "")
  _vmexport_cuda_find_compiler(nvcc)
  if(nvcc)
    # nvcc may be a link or a script in PATH; --dryrun tells where its toolkit is.
    execute_process(COMMAND "${nvcc}" --dryrun x.cu OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(said MATCHES "TOP=([^\n]+)")
      get_filename_component(top "${CMAKE_MATCH_1}" REALPATH)
      list(APPEND roots "${top}")
      file(GLOB targets LIST_DIRECTORIES true "${top}/targets/*")
      list(APPEND roots ${targets})
    endif()
  endif()
  file(GLOB versions LIST_DIRECTORIES true /usr/local/cuda-*)
  list(SORT versions COMPARE NATURAL ORDER DESCENDING)
  unset(found)
  find_path(found cuda_runtime_api.h NO_CACHE HINTS ${CUDAToolkit_INCLUDE_DIRS} ${roots} PATHS ENV CUDA_HOME ENV CUDA_PATH
            /usr/local/cuda ${versions} /usr/include PATH_SUFFIXES include)
  if(found)
    get_filename_component(found "${found}" REALPATH)
  else()
    set(found "")
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# Library `name` beside the headers in `folder`, or an empty string.
function(_vmexport_tensorrt_find_library name folder result)
  unset(found)
  get_filename_component(root "${folder}" DIRECTORY)
  string(REPLACE "/include" "/lib" beside "${folder}") # /usr/include/aarch64-linux-gnu: /usr/lib/aarch64-linux-gnu
  find_library(found ${name} NO_DEFAULT_PATH NO_CACHE PATHS "${beside}" "${root}/lib" "${root}/lib64"
               "${root}/lib/${CMAKE_LIBRARY_ARCHITECTURE}" ENV TENSORRT_ROOT PATH_SUFFIXES "" lib)
  if(NOT found)
    set(found "")
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# Why these headers cannot be used, in VMEXPORT_TENSORRT_SKIP_REASON; empty where they can.
macro(_vmexport_tensorrt_judge)
  if(NOT VMEXPORT_TENSORRT_VERSION)
    set(VMEXPORT_TENSORRT_SKIP_REASON
        "${VMEXPORT_TENSORRT_INCLUDE}/NvInferVersion.h tells no version: the installation is incomplete")
  elseif(_vmexport_tensorrt_flavour)
    set(VMEXPORT_TENSORRT_SKIP_REASON
        "${VMEXPORT_TENSORRT_INCLUDE} is ${_vmexport_tensorrt_flavour}, which takes the plugins of TensorRT 10 and 11: \
give -DVMEXPORT_TENSORRT_INCLUDE_DIR=<TensorRT's include folder>")
  elseif(VMEXPORT_TENSORRT_VERSION VERSION_LESS 8.5 OR VMEXPORT_TENSORRT_MAJOR EQUAL 9)
    set(VMEXPORT_TENSORRT_SKIP_REASON
        "TensorRT ${VMEXPORT_TENSORRT_VERSION} in ${VMEXPORT_TENSORRT_INCLUDE}: 8.5, 8.6 and 10.0 to \
${VMEXPORT_TENSORRT_NEWEST_MAJOR}.x are supported")
  elseif(VMEXPORT_TENSORRT_MAJOR GREATER VMEXPORT_TENSORRT_NEWEST_MAJOR AND NOT VMEXPORT_TENSORRT STREQUAL "ON")
    set(VMEXPORT_TENSORRT_SKIP_REASON
        "TensorRT ${VMEXPORT_TENSORRT_VERSION} in ${VMEXPORT_TENSORRT_INCLUDE} is newer than \
${VMEXPORT_TENSORRT_NEWEST_MAJOR}.x, the newest known: -DVMEXPORT_TENSORRT=ON tries it all the same")
  elseif(NOT VMEXPORT_TENSORRT_CUDA_INCLUDE)
    set(VMEXPORT_TENSORRT_SKIP_REASON
        "no cuda_runtime_api.h, which TensorRT's headers include: install cuda-cudart-dev-<version> (NVIDIA's \
archive), nvidia-cuda-dev (Debian, Ubuntu) or nvidia-jetpack (Jetson)")
  endif()
endmacro()

# A macro: the results belong to the scope of the file.
macro(_vmexport_tensorrt_enable)
  _vmexport_tensorrt_find(VMEXPORT_TENSORRT_INCLUDE)
  if(VMEXPORT_TENSORRT_INCLUDE)
    _vmexport_tensorrt_version("${VMEXPORT_TENSORRT_INCLUDE}" VMEXPORT_TENSORRT_VERSION _vmexport_tensorrt_flavour)
    string(REGEX MATCH "^([0-9]*)[.]?([0-9]*)" _vmexport_tensorrt_matched "${VMEXPORT_TENSORRT_VERSION}")
    set(VMEXPORT_TENSORRT_MAJOR "${CMAKE_MATCH_1}")
    set(VMEXPORT_TENSORRT_MINOR "${CMAKE_MATCH_2}")
    _vmexport_tensorrt_find_cuda(VMEXPORT_TENSORRT_CUDA_INCLUDE)
    _vmexport_tensorrt_judge()
  elseif(VMEXPORT_TENSORRT_INCLUDE_DIR)
    set(VMEXPORT_TENSORRT_SKIP_REASON "no NvInfer.h under VMEXPORT_TENSORRT_INCLUDE_DIR=${VMEXPORT_TENSORRT_INCLUDE_DIR}")
  else()
    set(VMEXPORT_TENSORRT_SKIP_REASON
        "no TensorRT headers (NvInfer.h): install libnvinfer-headers-dev and libnvinfer-headers-plugin-dev, of \
TensorRT 8 libnvinfer-dev (NVIDIA's archive, JetPack), or give -DVMEXPORT_TENSORRT_INCLUDE_DIR=<include folder>")
  endif()
  if(NOT VMEXPORT_TENSORRT_SKIP_REASON)
    set(VMEXPORT_TENSORRT_ENABLED ON)
    _vmexport_tensorrt_find_library(nvinfer "${VMEXPORT_TENSORRT_INCLUDE}" VMEXPORT_TENSORRT_LIBRARY)
    _vmexport_tensorrt_find_library(nvonnxparser "${VMEXPORT_TENSORRT_INCLUDE}" VMEXPORT_TENSORRT_PARSER)
    set(VMEXPORT_TENSORRT_DETAIL "headers of TensorRT ${VMEXPORT_TENSORRT_VERSION}")
    # SYSTEM: their warnings (deprecated declarations, unused parameters) are not ours.
    add_library(vmexport_tensorrt_headers INTERFACE)
    target_include_directories(vmexport_tensorrt_headers SYSTEM INTERFACE
      "${VMEXPORT_TENSORRT_INCLUDE}" "${VMEXPORT_TENSORRT_CUDA_INCLUDE}")
  endif()
endmacro()

if(NOT VMEXPORT_TENSORRT MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "VMEXPORT_TENSORRT: expected AUTO, ON or OFF, got ${VMEXPORT_TENSORRT}")
elseif(VMEXPORT_TENSORRT STREQUAL "OFF")
  set(VMEXPORT_TENSORRT_SKIP_REASON "VMEXPORT_TENSORRT is OFF")
elseif(CMAKE_CROSSCOMPILING)
  set(VMEXPORT_TENSORRT_SKIP_REASON
      "cross-compiled for ${CMAKE_SYSTEM_PROCESSOR}: build the TensorRT targets on that machine")
else()
  _vmexport_tensorrt_enable()
  if(NOT VMEXPORT_TENSORRT_ENABLED AND VMEXPORT_TENSORRT STREQUAL "ON")
    message(FATAL_ERROR "VMEXPORT_TENSORRT is ON, but: ${VMEXPORT_TENSORRT_SKIP_REASON}")
  endif()
endif()
