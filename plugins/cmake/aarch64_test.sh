#!/usr/bin/env bash
# aarch64_test.sh [FOLDER]: cross-compiles the CPU kernels and the ONNX Runtime library for aarch64, runs the kernel
# tests under qemu-user and checks what the libraries export and need. Prints one sentence where that cannot be done
# here, and then ends with 0: a developer's machine need not have a cross compiler.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-build/aarch64}
root=/usr/aarch64-linux-gnu
what="aarch64 test"
# shellcheck source=plugins/cmake/native_test_steps.sh
. plugins/cmake/native_test_steps.sh

case "$(uname -sm)" in
  "Linux aarch64") skip "this machine is aarch64: its native tests are these tests" ;;
  Linux*) ;;
  *) skip "the cross compiler and qemu-user need Linux" ;;
esac
mkdir -p "$folder"
need_programs "g++-aarch64-linux-gnu qemu-user" aarch64-linux-gnu-g++ qemu-aarch64
headers=$(onnxruntime_headers)
build "-DCMAKE_TOOLCHAIN_FILE=$PWD/plugins/cmake/aarch64-toolchain.cmake" ${headers:+"$headers"}
ctest --test-dir "$folder" --parallel "$(nproc)" --output-on-failure >"$folder/ctest.log" 2>&1 ||
  { cat "$folder/ctest.log" >&2; fail "kernel tests under qemu-aarch64"; }
grep Passed "$folder/ctest.log"

# Versions of the C and C++ libraries that LIBRARY needs at least: "GLIBC_2.34 GLIBCXX_3.4.17". JetPack 6 has glibc
# 2.35, JetPack 5 has 2.31; built on the machine itself, a library fits that machine.
needs() {
  local prefix
  for prefix in GLIBC GLIBCXX; do
    aarch64-linux-gnu-readelf --wide --version-info "$1" | grep -o "Name: ${prefix}_[0-9.]*" | sed 's/Name: //' | sort -V | tail -n 1
  done | xargs
}

# check LIBRARY PATTERN: it is an aarch64 library, exports symbols that match PATTERN only, needs nothing but the C
# and C++ runtime, and every symbol is found when it is loaded.
check() {
  local library=$1 exported foreign unresolved
  aarch64-linux-gnu-readelf --file-header "$library" | grep -q 'Machine: *AArch64' || fail "$library is not for aarch64"
  exported=$(aarch64-linux-gnu-nm --dynamic --defined-only --format=posix "$library" |
    awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }')
  [ -n "$exported" ] || fail "$library exports nothing"
  foreign=$(grep -vxE "$2" <<<"$exported" | xargs || true)
  [ -z "$foreign" ] || fail "$library exports $foreign"
  foreign=$(aarch64-linux-gnu-readelf --wide --dynamic "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -vE '^(lib(c|m|stdc\+\+|gcc_s|pthread)\.so|ld-linux-aarch64\.so)' | xargs || true)
  [ -z "$foreign" ] || fail "$library needs $foreign"
  # What `ldd -r` would do on the machine itself.
  unresolved=$(qemu-aarch64 -L "$root" -E LD_TRACE_LOADED_OBJECTS=1 -E LD_WARN=yes -E LD_BIND_NOW=yes \
    "$root/lib/ld-linux-aarch64.so.1" "$PWD/$library" 2>&1 | grep -E 'undefined symbol|not found|error' || true)
  [ -z "$unresolved" ] || fail "$library: $unresolved"
  echo "${library##*/}: exports $(wc -l <<<"$exported") ($(head -n 1 <<<"$exported")), needs $(needs "$library")"
}

check "$folder/capi/libvmexport_scan.so" 'vmexport_[a-z0-9_]+'
if [ -f "$folder/onnxruntime/libvmexport_ort.so" ]; then
  check "$folder/onnxruntime/libvmexport_ort.so" RegisterCustomOps
else
  sed -n 's/^-- *\(libvmexport_ort.so: SKIPPED.*\)/\1/p' "$folder/cmake.log"
fi
python3 benchmarks/neon_instructions.py "$folder/scan/CMakeFiles/vmexport_scan_static.dir/tier_baseline.cpp.o"
echo "aarch64 test: passed"
