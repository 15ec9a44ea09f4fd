#!/usr/bin/env bash
# The native libraries and test programs for one GPU architecture, into a folder: what benchmarks/gpu_check.sh runs.
#   usage: bash benchmarks/gpu_build.sh CAPABILITY FOLDER     (90 for compute capability 9.0)
# With CMake all that can be built here, the TensorRT plugin where TENSORRT_INCLUDE_DIR (or the system) has its headers;
# with nvcc alone what PyTorch's operators and the device tests need.
set -euo pipefail
cd "$(dirname "$0")/.."
capability=$1 folder=$2
export PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
command -v nvcc >/dev/null || {
  printf 'nvcc is missing\nwhy: the kernels are compiled for this GPU\nfix: install the CUDA toolkit: apt-get install nvidia-cuda-toolkit, or https://developer.nvidia.com/cuda-downloads\n' >&2
  exit 3
}
rm -rf "$folder/native" "$folder/bin"
mkdir -p "$folder/native" "$folder/bin"

with_cmake() {
  local generator=() headers=() found
  command -v ninja >/dev/null && generator=(-G Ninja)
  # Without a network: headers that an earlier build fetched or the system has, else no ONNX Runtime library.
  found=$(find build /usr/include -name onnxruntime_c_api.h -not -path 'build/gpu/*' -print -quit 2>/dev/null || true)
  [ -z "$found" ] || headers=("-DVMEXPORT_ORT_INCLUDE_DIR=$(realpath "$(dirname "$found")")")
  cmake -S plugins -B build/gpu/cmake "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DVMEXPORT_CUDA=ON \
    "-DVMEXPORT_CUDA_ARCHITECTURES=$capability" -DVMEXPORT_BUILD_TESTS=ON -DVMEXPORT_ORT_DOWNLOAD=OFF "${headers[@]}"
  local targets=(vmexport_cuda vmexport_cuda_device_tests) name
  for name in vmexport_scan vmexport_ort vmexport-run vmexport_trt vmexport_trt_autoreg vmexport_trt_device_tests; do
    if cmake --build build/gpu/cmake --target help | grep -qE "(^| )$name(:|\$)"; then targets+=("$name"); fi
  done
  cmake --build build/gpu/cmake --parallel "$(nproc)" --target "${targets[@]}"
  find build/gpu/cmake -maxdepth 2 -name 'libvmexport_*.so' -exec cp {} "$folder/native/" \;
  find build/gpu/cmake -maxdepth 2 -name vmexport-run -type f -exec cp {} "$folder/native/" \;
  for name in cuda trt; do
    local test=build/gpu/cmake/tests/vmexport_${name}_device_tests
    [ ! -x "$test" ] || cp "$test" "$folder/bin/${name}_device_tests"
  done
}

with_nvcc() {
  local version
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -n 1)
  local flags=(-O3 -std=c++17 -Xcompiler=-fPIC,-fvisibility=hidden -cudart static
    "-gencode=arch=compute_$capability,code=[sm_$capability,compute_$capability]"
    "-DVMEXPORT_VERSION=\"$version\"" "-DVMEXPORT_CUDA_ARCHITECTURES=\"sm_$capability compute_$capability\"")
  # Kernels and what they call; the other C++ files of the folder are the CPU's.
  local kernels=(plugins/scan/*.cu plugins/scan/*_plan.cpp plugins/scan/*_plan_cache.cpp plugins/scan/validate.cpp)
  nvcc "${flags[@]}" --threads 0 -shared "${kernels[@]}" plugins/capi/common.cpp plugins/capi/vmexport_cuda.cpp \
    -o "$folder/native/libvmexport_scan_cuda.so"
  nvcc "${flags[@]}" --threads 0 "${kernels[@]}" plugins/tests/{cuda_device_tests,kernel_cases,reference}.cpp \
    plugins/tests/on_device.cu -o "$folder/bin/cuda_device_tests"
}

if command -v cmake >/dev/null; then with_cmake; else with_nvcc; fi
printf '%s.%s\n' "${capability%?}" "${capability: -1}" >"$folder/capability"
