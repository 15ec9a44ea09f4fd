#!/bin/sh
# The TensorRT plugins under the sanitizers against one set of headers after the other; neither a TensorRT library nor a
# GPU is needed.
#   tensorrt_test.sh <build folder> [<include folder>...]      no folder: the headers that CMake finds, if any
set -eu
build=$1
shift
source=$(cd "$(dirname "$0")/.." && pwd)

# one <build folder> <cmake options...>: builds and runs, or prints the reason why it cannot.
one() {
  folder=$1
  shift
  cmake -S "$source" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVMEXPORT_SANITIZE=ON \
    -DVMEXPORT_BUILD_TESTS=ON -DVMEXPORT_ONNXRUNTIME=OFF -DVMEXPORT_CUDA=OFF -DCMAKE_COMPILE_WARNING_AS_ERROR=ON "$@" \
    > "$folder.log" 2>&1 || { cat "$folder.log" >&2; return 1; }
  if grep -q 'vmexport_trt_tests: SKIPPED' "$folder.log"; then
    sed -n 's/^-- *vmexport_trt_tests: SKIPPED/TensorRT plugins: SKIPPED/p' "$folder.log"
    return 0
  fi
  cmake --build "$folder" --target vmexport_trt_tests
  ctest --test-dir "$folder" -R '^trt_plugins$' --output-on-failure
}

mkdir -p "$build"
if [ $# -eq 0 ]; then
  one "$build/found"
fi
for headers in "$@"; do
  [ -d "$headers" ] || { echo "TENSORRT_INCLUDE_DIRS: there is no folder $headers" >&2; exit 2; }
  name=$(printf '%s' "$headers" | tr -c 'A-Za-z0-9.' '_')
  one "$build/$name" -DVMEXPORT_TENSORRT=ON "-DVMEXPORT_TENSORRT_INCLUDE_DIR=$headers"
done
