# The steps that aarch64_test.sh and old_cpu_test.sh share, sourced by both: `what` names the test, `folder` is where it
# builds and where its logs go. A developer's machine need not have them: a test that cannot be run says why and ends with 0.

skip() { printf '%s: SKIPPED (%s)\n' "$what" "$1"; exit 0; }
fail() { printf '%s: FAILED (%s)\n' "$what" "$1" >&2; exit 1; }

_have() {
  local program
  for program in "$@"; do command -v "$program" >/dev/null || return 1; done
}

# Mirrors hiccup: three tries, each with apt's own retries.
_install() {
  local try apt=(apt-get -qq -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=120)
  export DEBIAN_FRONTEND=noninteractive
  for try in 1 2 3; do
    # shellcheck disable=SC2086  # a list
    if "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends $1; then return 0; fi
    [ "$try" = 3 ] || sleep $((try * 2))
  done >"$folder/apt.log" 2>&1
  return 1
}

# need_programs PACKAGES PROGRAM...: all are there afterwards, installed if this is root, or the test is skipped.
need_programs() {
  local packages=$1 programs missing advice
  shift
  _have "$@" && return
  programs=$*
  missing="no ${programs// / or }"
  advice="sudo apt-get install --no-install-recommends $packages"
  command -v apt-get >/dev/null || skip "$missing; on Debian or Ubuntu: $advice"
  [ "$(id -u)" = 0 ] || skip "$missing; run: $advice"
  echo "$what: installing $packages"
  _install "$packages" && _have "$@" ||
    skip "$packages could not be installed: $(grep -m 1 '^E:' "$folder/apt.log" || tail -n 1 "$folder/apt.log")"
}

# Build options that name ONNX Runtime's headers, where the native build has found or unpacked them already.
onnxruntime_headers() {
  local found
  for found in build/*/onnxruntime-headers/include; do
    if [ -d "$found" ]; then
      echo "-DVMEXPORT_ORT_INCLUDE_DIR=$PWD/$found"
      return
    fi
  done
}

# build OPTION...: configures and compiles the native tests; what was said is shown only if it fails.
build() {
  cmake -S plugins -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DVMEXPORT_BUILD_TESTS=ON "$@" \
    >"$folder/cmake.log" 2>&1 || { cat "$folder/cmake.log" >&2; fail "configuration"; }
  cmake --build "$folder" >"$folder/build.log" 2>&1 || { cat "$folder/build.log" >&2; fail "compilation"; }
}
