#!/bin/sh
# ONNX Runtime's headers from Debian's libonnxruntime-dev, unpacked into <folder>/include. The last line of the output
# says what went wrong.
#   usage: fetch_onnxruntime_headers.sh <folder>
set -eu

package=libonnxruntime-dev
folder=${1:?folder}

sh "$(dirname "$0")/unpack_debian_package.sh" "$folder" "$package" main
if [ ! -f "$folder/unpacked/usr/include/onnxruntime/onnxruntime_c_api.h" ]; then
  echo "$package holds no onnxruntime_c_api.h" >&2
  exit 1
fi
rm -rf "$folder/include"
mv "$folder/unpacked/usr/include" "$folder/include"
rm -rf "$folder/unpacked"
