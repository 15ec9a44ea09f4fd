#!/usr/bin/env bash
# make_venv.sh FOLDER: a virtual environment, or one sentence that says what is missing.
set -euo pipefail
folder=$1
python=${PYTHON:-python3}

fail() { printf '%s\nwhy: %s\nfix: %s\n' "$1" "$2" "$3" >&2; exit 3; }

command -v "$python" >/dev/null || fail "$python was not found" "vmexport needs Python 3.10 or newer" \
  "sudo apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "$("$python" --version) is too old" \
  "vmexport needs Python 3.10 or newer" "make PYTHON=python3.12 ..."
command -v c++ >/dev/null || command -v g++ >/dev/null || fail "no C++ compiler was found" \
  "the kernels are compiled on this machine" "sudo apt-get install g++"

# Debian and Ubuntu ship venv's pip in a package of its own.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq "$version"
  else
    fail "the virtual environment cannot be made" "the package $version is not installed" \
      "sudo apt-get install $version"
  fi
fi
"$python" -m venv "$folder"
