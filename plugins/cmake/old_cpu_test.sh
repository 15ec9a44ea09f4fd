#!/usr/bin/env bash
# old_cpu_test.sh [FOLDER]: the native tests, the C library and the ONNX Runtime library on x86-64 processors without
# AVX, with AVX2 and no AVX-512, and on this machine's own. Each has to choose the best tier that it has, and an
# instruction that it has not ends the test (SIGILL). qemu-user emulates the processors; where it is missing and may not
# be installed, one sentence says so and the script ends with 0.
# PYTHON: an interpreter with onnxruntime, onnx and pytest for the tests of the ONNX Runtime library; none: left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-build/old-cpu}
what="old CPU test"
# shellcheck source=plugins/cmake/native_test_steps.sh
. plugins/cmake/native_test_steps.sh

machine=$(uname -sm)
case "$machine" in
  "Linux x86_64") ;;
  Linux*) skip "this machine is ${machine#Linux }: the tiers are x86-64's" ;;
  *) skip "the emulated processors need Linux" ;;
esac
mkdir -p "$folder"
need_programs qemu-user qemu-x86_64
headers=$(onnxruntime_headers)
build "-DCMAKE_TOOLCHAIN_FILE=$PWD/plugins/cmake/old-cpu-toolchain.cmake" -DVMEXPORT_TENSORRT=OFF ${headers:+"$headers"}

# The best tier of this machine, by the kernel's own list of what its processor has.
best_tier() {
  local flags
  flags=$(grep -m 1 '^flags' /proc/cpuinfo)
  has() { local flag; for flag in "$@"; do grep -qw "$flag" <<<"$flags" || return 1; done; }
  if ! has avx2 fma f16c; then
    echo baseline
  elif ! has avx512f avx512dq avx512bw avx512vl; then
    echo avx2
  else
    echo avx512
  fi
}

# on NAME TIER LAUNCHER...: everything on one processor, which has to choose TIER. An emulated one leaves out the largest
# case, which takes most of the time and no instruction that the others do not.
on() {
  local name=$1 tier=$2 log chosen
  shift 2
  log=$folder/ctest-$name.log
  env ${1:+VMEXPORT_LARGEST_CASE=1000000} VMEXPORT_LAUNCHER="$*" \
    ctest --test-dir "$folder" --parallel "$(nproc)" --verbose >"$log" 2>&1 ||
    { cat "$log" >&2; fail "$name: native tests"; }
  chosen=$(sed -n 's/.*tier chosen by itself: //p' "$log")
  [ "$chosen" = "$tier" ] || fail "$name: the C library chose the tier '$chosen' where '$tier' is the best"
  echo "$name: tier $chosen, $(grep -c ' Passed ' "$log") tests passed, $(grep -c '\*\*\*Skipped' "$log" || true) skipped"
  if [ -z "${PYTHON:-}" ]; then
    echo "$name: ONNX Runtime left out, PYTHON names no interpreter"
    return
  fi
  log=$folder/onnxruntime-$name.log
  "$@" "$PYTHON" -m pytest -q -p no:cacheprovider tests/plugins/test_onnxruntime.py >"$log" 2>&1 ||
    { cat "$log" >&2; fail "$name: the ONNX Runtime library"; }
  echo "$name: ONNX Runtime, $(grep -E '[0-9]+ passed' "$log")"
}

on no-avx baseline qemu-x86_64 -cpu Nehalem
qemu=$(qemu-x86_64 --version | grep -m 1 -o '[0-9]\+\.[0-9]\+')
if [ "$(printf '%s\n7.2\n' "$qemu" | sort -V | head -n 1)" = 7.2 ]; then
  on avx2 avx2 qemu-x86_64 -cpu Haswell
else
  echo "avx2: SKIPPED (qemu $qemu emulates no AVX2, 7.2 and later do)"
fi
on here "$(best_tier)"
echo "$what: passed"
