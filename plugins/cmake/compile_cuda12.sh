#!/usr/bin/env bash
# compile_cuda12.sh FOLDER: the CUDA kernels through CUDA 12's compiler for Jetson's sm_87 (JetPack 6 has CUDA 12.2 to
# 12.6), where the machine has another one or none. PyPI's nvidia-cuda-nvcc-cu12 holds ptxas but no nvcc, so the
# compiler is Debian's (12.4, unpacked, nothing is installed) and the headers are PyPI's. Needs the network.
# PYTHON: an interpreter with pip.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
python=${PYTHON:-python3}
toolkit=$folder/toolkit

if [ ! -x "$toolkit/bin/nvcc" ]; then
  rm -rf "$toolkit"
  sh "$here/unpack_debian_package.sh" "$folder" nvidia-cuda-toolkit non-free
  for package in nvidia-cuda-runtime-cu12==12.4.127 nvidia-cuda-nvcc-cu12==12.4.131 nvidia-cuda-cccl-cu12==12.9.27; do
    "$python" -m pip install --quiet --no-deps --target "$folder/headers/${package%%=*}" "$package"
  done
  # The layout that nvcc.profile describes: Debian spreads the files over its own folders.
  mkdir -p "$toolkit/nvvm/bin" "$toolkit/include"
  debian=$folder/unpacked/usr/lib/nvidia-cuda-toolkit
  cp -R "$folder/unpacked/usr/bin" "$toolkit/bin"
  cp "$debian/bin/cicc" "$toolkit/nvvm/bin/"
  cp -R "$debian/libdevice" "$toolkit/nvvm/"
  cp -R "$folder"/headers/*/nvidia/*/include/. "$toolkit/include/"
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
  echo "$(basename "$source") for sm_87"
  "$toolkit/bin/nvcc" -std=c++17 -O3 -Xcompiler=-fPIC,-Wall,-Wextra -Xptxas=-warn-spills -arch=sm_87 \
    -c "$source" -o "$folder/$(basename "$source" .cu).o"
done
