#!/usr/bin/env bash
# Everything that needs a GPU, in one command and without a network: build for this GPU, run the tests marked `gpu`,
# the native tests under compute-sanitizer, and the benchmarks, which write benchmarks/results/<gpu>-*.json.
#   usage: bash benchmarks/gpu_check.sh [--quick] [--allow-dirty] [build] [test] [sanitize] [operator] [model] [tensorrt]
# (no step: all of them). PYTHON names the interpreter; by default .venv/bin/python where that sees a GPU, else python3.
# --allow-dirty: also from sources that no commit holds, such as a copy without .git; the results say so.
# TensorRT: TENSORRT_INCLUDE_DIR names the folder of its headers, TENSORRT_LIB_DIR that of its libraries, where they are
# not the system's; without either the step is skipped and says why.
# A step that fails does not stop the later ones; the last lines say which failed, and the exit status is the first's:
# 3 environment, 5 build, 6 tests, sanitizer or parity, 8 a goal of the benchmarks.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1

options=() steps=()
for word in "$@"; do
  case $word in
    --quick | --allow-dirty) options+=("$word") ;;
    build | test | sanitize | operator | model | tensorrt) steps+=("$word") ;;
    *)
      printf 'unknown step %s\nwhy: the steps are build, test, sanitize, operator, model and tensorrt\nfix: bash benchmarks/gpu_check.sh\n' "$word" >&2
      exit 2
      ;;
  esac
done
[ ${#steps[@]} -gt 0 ] || steps=(build test sanitize operator model tensorrt)

refuse() {
  printf '%s\nwhy: %s\nfix: %s\n' "$1" "$2" "$3" >&2
  exit 3
}

sees_gpu() { "$1" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; }

python=${PYTHON:-python3}
if [ -z "${PYTHON:-}" ] && [ -x .venv/bin/python ] && sees_gpu .venv/bin/python; then python=$PWD/.venv/bin/python; fi
command -v "$python" >/dev/null || refuse "there is no $python" "the checks run in Python" "PYTHON=/path/to/python bash benchmarks/gpu_check.sh"
"$python" -c 'import torch' 2>/dev/null || refuse "PyTorch is missing in $(command -v "$python")" \
  "the tests and benchmarks run through it" "$python -m pip install torch"
sees_gpu "$python" || refuse "there is no GPU here" \
  "PyTorch $("$python" -c 'import torch; print(torch.__version__)') finds no CUDA device" \
  "run it on a machine where nvidia-smi lists a GPU, with a PyTorch built for CUDA"
export PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
command -v nvcc >/dev/null || refuse "nvcc is missing" "the kernels are compiled for this machine's GPU" \
  "install the CUDA toolkit: apt-get install nvidia-cuda-toolkit, or https://developer.nvidia.com/cuda-downloads"
missing=$("$python" -c 'import importlib.util as u
print(*(n for n in ("numpy", "onnx", "pytest", "rich", "safetensors") if u.find_spec(n) is None))')
[ -z "$missing" ] || refuse "Python packages are missing: $missing" "the tests and the report need them" \
  "$python -m pip install $missing"

capability=$("$python" -c 'import torch; print("%d%d" % torch.cuda.get_device_capability())')
native=vmexport/_native tests=build/gpu/cuda_device_tests plugins=build/gpu/trt_device_tests
mkdir -p build/gpu "$native"

build_with_cmake() {
  local headers=() generator=()
  command -v ninja >/dev/null && generator=(-G Ninja)
  # Without a network: headers that an earlier build fetched or the system has, else no ONNX Runtime library.
  local found
  found=$(find build /usr/include -name onnxruntime_c_api.h -not -path 'build/gpu/*' -print -quit 2>/dev/null)
  [ -z "$found" ] || headers=("-DVMEXPORT_ORT_INCLUDE_DIR=$(realpath "$(dirname "$found")")")
  cmake -S plugins -B build/gpu/cmake "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DVMEXPORT_CUDA=ON \
    "-DVMEXPORT_CUDA_ARCHITECTURES=$capability" -DVMEXPORT_BUILD_TESTS=ON -DVMEXPORT_ORT_DOWNLOAD=OFF "${headers[@]}" &&
    cmake --build build/gpu/cmake --parallel "$(nproc)" &&
    cmake --install build/gpu/cmake --prefix "$PWD" &&
    cp build/gpu/cmake/tests/vmexport_cuda_device_tests "$tests" || return
  local built=build/gpu/cmake/tests/vmexport_trt_device_tests # where CMake found TensorRT's headers
  [ ! -x $built ] || cp $built "$plugins"
}

# Only what runs on the GPU; tests of the CPU kernels then skip.
build_with_nvcc() {
  local version
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -n 1)
  local flags=(-O3 -std=c++17 -Xcompiler=-fPIC,-fvisibility=hidden -cudart static
    "-gencode=arch=compute_$capability,code=[sm_$capability,compute_$capability]"
    "-DVMEXPORT_VERSION=\"$version\"" "-DVMEXPORT_CUDA_ARCHITECTURES=\"sm_$capability compute_$capability\"")
  # Kernels and what they call; the other C++ files of the folder are the CPU's.
  local kernels=(plugins/scan/*.cu plugins/scan/*_plan.cpp plugins/scan/validate.cpp)
  nvcc "${flags[@]}" --threads 0 -shared "${kernels[@]}" plugins/capi/common.cpp plugins/capi/vmexport_cuda.cpp \
    -o "$native/libvmexport_scan_cuda.so" &&
    nvcc "${flags[@]}" --threads 0 "${kernels[@]}" plugins/tests/{cuda_device_tests,kernel_cases,reference}.cpp \
      plugins/tests/on_device.cu -o "$tests"
}

run_build() {
  # No later step may run what an earlier build left.
  rm -f "$native"/libvmexport_*_cuda.so "$native"/libvmexport_trt*.so "$native/vmexport-run" "$tests" "$plugins"
  if command -v cmake >/dev/null; then build_with_cmake; else build_with_nvcc; fi || return 5
}

run_test() {
  "$python" -m pytest -m gpu -q -ra -p no:cacheprovider tests/ops tests/plugins 2>&1 | tee build/gpu/test.log
  [ "${PIPESTATUS[0]}" = 0 ] || return 6
  grep -q '[0-9] passed' build/gpu/test.log || { echo "every test was skipped"; return 6; }
  if [ -x "$plugins" ]; then
    "$plugins" || return 6
  else
    echo "TensorRT plugins on the GPU: SKIPPED, no TensorRT headers or no CMake (build/gpu/cmake/report.json says why)"
  fi
}

run_sanitize() {
  local tool status=0
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is missing: it is part of the CUDA toolkit"; return 3; }
  [ -x "$tests" ] || { echo "$tests is not built"; return 5; }
  for tool in memcheck racecheck synccheck; do
    echo "compute-sanitizer $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 9 "$tests" || status=6
    [ ! -x "$plugins" ] || compute-sanitizer --tool "$tool" --error-exitcode 9 "$plugins" || status=6
  done
  return $status
}

run_operator() { "$python" benchmarks/gpu_operator.py "${options[@]}"; }
run_model() { "$python" benchmarks/gpu_model.py "${options[@]}"; }
run_tensorrt() { "$python" benchmarks/gpu_tensorrt.py "${options[@]}"; }

status=0 report=()
for name in "${steps[@]}"; do
  printf '\n== %s\n' "$name"
  begun=$SECONDS
  "run_$name"
  code=$?
  case $code in
    0) outcome=ok ;;
    77) outcome="skipped, see above" code=0 ;;
    *) outcome="FAILED, exit status $code" ;;
  esac
  report+=("$(printf '%-9s %4d s  %s' "$name" $((SECONDS - begun)) "$outcome")")
  [ $status != 0 ] || status=$code
done
printf '\n== summary, sm_%s\n' "$capability"
printf '%s\n' "${report[@]}"
exit $status
