# Finds a CUDA compiler and what to compile for; without one everything else is built all the same. Sets
#   VMEXPORT_CUDA_ENABLED         whether the CUDA targets are built (the language CUDA is enabled then)
#   VMEXPORT_CUDA_SKIP_REASON     why not, and which package has what is missing
#   VMEXPORT_CUDA_CMAKE_ARCHITECTURES   value of a target's CUDA_ARCHITECTURES
#   VMEXPORT_CUDA_ARCHITECTURE_NAMES    the same for people: "sm_87 sm_90 compute_90"
#   VMEXPORT_CUDA_DETAIL          one line for the report
set(VMEXPORT_CUDA AUTO CACHE STRING "CUDA kernels: AUTO (where nvcc is), ON (it is an error where it is not), OFF")
set_property(CACHE VMEXPORT_CUDA PROPERTY STRINGS AUTO ON OFF)
set(VMEXPORT_CUDA_ARCHITECTURES "72;75;80;86;87;89;90;100;110;120" CACHE STRING
    "Compute capabilities without the dot; those that this nvcc does not know are left out, the last gets PTX too")

set(VMEXPORT_CUDA_ENABLED OFF)
set(VMEXPORT_CUDA_SKIP_REASON "")
set(_vmexport_cuda_packages
    "install nvidia-cuda-toolkit (Debian, Ubuntu), cuda-nvcc-<version> and cuda-cudart-dev-<version> (NVIDIA's "
    "archive) or nvidia-jetpack (Jetson), or give -DCMAKE_CUDA_COMPILER=<nvcc>")
string(CONCAT _vmexport_cuda_packages ${_vmexport_cuda_packages})

# The compiler in `result`: what the user says, then PATH, then the places where toolkits are installed to.
function(_vmexport_cuda_find_compiler result)
  if(CMAKE_CUDA_COMPILER)
    set(${result} "${CMAKE_CUDA_COMPILER}" PARENT_SCOPE)
    return()
  elseif(DEFINED ENV{CUDACXX})
    set(${result} "$ENV{CUDACXX}" PARENT_SCOPE)
    return()
  endif()
  file(GLOB versions LIST_DIRECTORIES true /usr/local/cuda-*)
  list(SORT versions COMPARE NATURAL ORDER DESCENDING)
  find_program(nvcc nvcc NO_CACHE HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda ${versions} /opt/cuda
               PATH_SUFFIXES bin)
  if(nvcc)
    set(${result} "${nvcc}" PARENT_SCOPE)
  else()
    set(${result} "" PARENT_SCOPE)
  endif()
endfunction()

# Of `wanted`, what the compiler knows in `known` and the rest in `unknown`.
function(_vmexport_cuda_sort_architectures compiler wanted known unknown)
  execute_process(COMMAND "${compiler}" --list-gpu-arch OUTPUT_VARIABLE listed ERROR_QUIET RESULT_VARIABLE status)
  string(REGEX MATCHALL "[0-9]+" listed "${listed}")
  set(in "")
  set(out "")
  foreach(architecture IN LISTS wanted)
    # A compiler too old to list them (before CUDA 11.4) is asked for all and complains itself.
    if(architecture IN_LIST listed OR NOT status EQUAL 0)
      list(APPEND in "${architecture}")
    else()
      list(APPEND out "${architecture}")
    endif()
  endforeach()
  set(${known} "${in}" PARENT_SCOPE)
  set(${unknown} "${out}" PARENT_SCOPE)
endfunction()

# The last architecture gets PTX too, for GPUs that are newer than this compiler.
macro(_vmexport_cuda_name_architectures)
  list(POP_BACK _vmexport_cuda_known _vmexport_cuda_last)
  list(TRANSFORM _vmexport_cuda_known APPEND "-real" OUTPUT_VARIABLE VMEXPORT_CUDA_CMAKE_ARCHITECTURES)
  list(APPEND VMEXPORT_CUDA_CMAKE_ARCHITECTURES "${_vmexport_cuda_last}")
  list(APPEND _vmexport_cuda_known "${_vmexport_cuda_last}")
  list(TRANSFORM _vmexport_cuda_known PREPEND "sm_" OUTPUT_VARIABLE VMEXPORT_CUDA_ARCHITECTURE_NAMES)
  list(APPEND VMEXPORT_CUDA_ARCHITECTURE_NAMES "compute_${_vmexport_cuda_last}")
  string(REPLACE ";" " " VMEXPORT_CUDA_ARCHITECTURE_NAMES "${VMEXPORT_CUDA_ARCHITECTURE_NAMES}")
  set(VMEXPORT_CUDA_DETAIL "nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${VMEXPORT_CUDA_ARCHITECTURE_NAMES}")
  if(_vmexport_cuda_unknown)
    string(APPEND VMEXPORT_CUDA_DETAIL ", which does not know ${_vmexport_cuda_unknown}")
  endif()
endmacro()

# A macro: enable_language has to be called in the scope of the file, and the results belong there.
macro(_vmexport_cuda_enable)
  _vmexport_cuda_find_compiler(_vmexport_nvcc)
  if(NOT _vmexport_nvcc)
    set(VMEXPORT_CUDA_SKIP_REASON "no nvcc on this machine: ${_vmexport_cuda_packages}")
  else()
    set(_vmexport_cuda_wanted "${VMEXPORT_CUDA_ARCHITECTURES}")
    list(SORT _vmexport_cuda_wanted COMPARE NATURAL)
    list(REMOVE_DUPLICATES _vmexport_cuda_wanted)
    _vmexport_cuda_sort_architectures("${_vmexport_nvcc}" "${_vmexport_cuda_wanted}" _vmexport_cuda_known
                                      _vmexport_cuda_unknown)
    string(REPLACE ";" " " _vmexport_cuda_unknown "${_vmexport_cuda_unknown}")
    if(NOT _vmexport_cuda_known)
      set(VMEXPORT_CUDA_SKIP_REASON
          "${_vmexport_nvcc} knows none of ${_vmexport_cuda_unknown}: choose from nvcc --list-gpu-arch")
    else()
      # The language is tried out first, because enable_language ends the whole configuration where it fails.
      list(GET _vmexport_cuda_known 0 CMAKE_CUDA_ARCHITECTURES)
      if(NOT CMAKE_CUDA_COMPILER)
        unset(CMAKE_CUDA_COMPILER CACHE)
        set(ENV{CUDACXX} "${_vmexport_nvcc}")
        if(CMAKE_CUDA_HOST_COMPILER)
          set(ENV{CUDAHOSTCXX} "${CMAKE_CUDA_HOST_COMPILER}")
        endif()
        include(CheckLanguage)
        check_language(CUDA)
      endif()
      if(CMAKE_CUDA_COMPILER)
        enable_language(CUDA)
        set(VMEXPORT_CUDA_ENABLED ON)
        _vmexport_cuda_name_architectures()
      else()
        set(VMEXPORT_CUDA_SKIP_REASON
            "${_vmexport_nvcc} compiles no program (CMakeFiles/CMakeError.log or CMakeConfigureLog.yaml says why, "
            "often a host compiler that it refuses: -DCMAKE_CUDA_HOST_COMPILER=<g++>)")
        string(CONCAT VMEXPORT_CUDA_SKIP_REASON ${VMEXPORT_CUDA_SKIP_REASON})
      endif()
    endif()
  endif()
endmacro()

if(NOT VMEXPORT_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "VMEXPORT_CUDA: expected AUTO, ON or OFF, got ${VMEXPORT_CUDA}")
elseif(VMEXPORT_CUDA STREQUAL "OFF")
  set(VMEXPORT_CUDA_SKIP_REASON "VMEXPORT_CUDA is OFF")
elseif(VMEXPORT_SANITIZE)
  set(VMEXPORT_CUDA_SKIP_REASON "the sanitizers see host code only: compute-sanitizer checks the kernels on a GPU")
else()
  _vmexport_cuda_enable()
  if(NOT VMEXPORT_CUDA_ENABLED AND VMEXPORT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "VMEXPORT_CUDA is ON, but: ${VMEXPORT_CUDA_SKIP_REASON}")
  endif()
endif()

# Everything that nvcc is needed for; empty without one.
add_custom_target(vmexport_cuda)

# vmexport_cuda_library(<shared library> <version script>): the CUDA runtime is linked statically and stays hidden,
# because the process may hold another one (PyTorch's, ONNX Runtime's) whose symbols have the same names.
function(vmexport_cuda_library target exports)
  set_target_properties(${target} PROPERTIES
    CUDA_ARCHITECTURES "${VMEXPORT_CUDA_CMAKE_ARCHITECTURES}"
    CUDA_RUNTIME_LIBRARY Static
    CUDA_RESOLVE_DEVICE_SYMBOLS OFF
    LINK_DEPENDS "${exports}")
  add_dependencies(vmexport_cuda ${target})
  target_link_options(${target} PRIVATE "-Wl,--version-script=${exports}")
endfunction()
