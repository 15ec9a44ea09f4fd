#!/usr/bin/env bash
# compile_cuda.sh FOLDER 11|12: the CUDA kernels through an older compiler of CUDA than the machine has, for Jetson:
#   12   12.4 for sm_87; JetPack 6 has CUDA 12.2 to 12.6 (downloads about 100 MB, once)
#   11   11.2 for sm_72 (Xavier) and sm_80; JetPack 5.1 has CUDA 11.4 (downloads about 660 MB, once)
# PyPI's nvidia-cuda-nvcc packages hold ptxas but no nvcc, so the compiler is Debian's (unpacked, nothing is installed),
# and with 11 the g++ that it was made for. Needs the network. PYTHON: an interpreter with pip.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
python=${PYTHON:-python3}
toolkit=$folder/toolkit

case $2 in
  12) architectures="87" host="" ;;
  11) architectures="72 80" host=$folder/host/usr/bin/g++-10 ;;
  *) echo "compile_cuda.sh: CUDA 11 or 12, not $2" >&2; exit 2 ;;
esac

# The headers into toolkit/include, the compiler into unpacked.
fetch_12() {
  local package
  sh "$here/unpack_debian_package.sh" "$folder" nvidia-cuda-toolkit non-free
  for package in nvidia-cuda-runtime-cu12==12.4.127 nvidia-cuda-nvcc-cu12==12.4.131 nvidia-cuda-cccl-cu12==12.9.27; do
    "$python" -m pip install --quiet --no-deps --target "$folder/headers/${package%%=*}" "$package"
  done
  cp -R "$folder"/headers/*/nvidia/*/include/. "$toolkit/include/"
}
fetch_11() {
  sh "$here/unpack_debian_package.sh" "$folder" "g++-10 gcc-10 cpp-10 libgcc-10-dev libstdc++-10-dev" main bullseye
  rm -rf "$folder/host"
  mv "$folder/unpacked" "$folder/host"
  sh "$here/unpack_debian_package.sh" "$folder" "nvidia-cuda-toolkit nvidia-cuda-dev" non-free bullseye
  cp -R "$folder"/unpacked/usr/include/. "$toolkit/include/"
}

if [ ! -x "$toolkit/bin/nvcc" ]; then
  rm -rf "$toolkit"
  # The layout that nvcc.profile describes: Debian spreads the files over its own folders.
  mkdir -p "$toolkit/nvvm/bin" "$toolkit/include"
  "fetch_$2"
  debian=$folder/unpacked/usr/lib/nvidia-cuda-toolkit
  cp -R "$folder/unpacked/usr/bin" "$toolkit/bin"
  cp "$debian/bin/cicc" "$toolkit/nvvm/bin/"
  cp -R "$debian/libdevice" "$toolkit/nvvm/"
  cat >"$toolkit/bin/nvcc.profile" <<'PROFILE'
TOP = $(_HERE_)/..
CICC_PATH = $(TOP)/nvvm/bin
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH += $(TOP)/nvvm/bin:$(_HERE_):
INCLUDES += "-I$(TOP)/include" $(_SPACE_)
PROFILE
  rm -f "$toolkit/bin/nvcc"
  cp "$debian/bin/nvcc" "$toolkit/bin/nvcc.new"
  rm -rf "$folder/unpacked" "$folder/headers"
  mv "$toolkit/bin/nvcc.new" "$toolkit/bin/nvcc"  # last: its presence says that all the rest is there
fi

"$toolkit/bin/nvcc" --version | tail -n 2 | head -n 1
for source in "$here"/../scan/*.cu; do
  for architecture in $architectures; do
    echo "$(basename "$source") for sm_$architecture"
    "$toolkit/bin/nvcc" -std=c++17 -O3 -Xcompiler=-fPIC,-Wall,-Wextra -Xptxas=-warn-spills ${host:+-ccbin="$host"} \
      -arch="sm_$architecture" "-DVMEXPORT_CUDA_ARCHITECTURES=\"sm_$architecture\"" \
      -c "$source" -o "$folder/$(basename "$source" .cu)-sm_$architecture.o"
  done
done
