#!/usr/bin/env bash
# Everything that needs a GPU, without a network and in two calls of at most five minutes: `first` is what is worth
# knowing most, `second` the rest; no word is both. Steps, options and statuses: benchmarks/gpu_check.py.
#   usage: bash benchmarks/gpu_check.sh [first|second|STEP...] [--results DIR] [--seconds N] [--allow-dirty]
# PYTHON names the interpreter; by default .venv/bin/python where that sees a GPU, else python3.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

sees_gpu() { "$1" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; }

python=${PYTHON:-python3}
if [ -z "${PYTHON:-}" ] && [ -x .venv/bin/python ] && sees_gpu .venv/bin/python; then python=$PWD/.venv/bin/python; fi
command -v "$python" >/dev/null || {
  printf 'there is no %s\nwhy: the checks run in Python\nfix: PYTHON=/path/to/python bash benchmarks/gpu_check.sh\n' "$python" >&2
  exit 3
}
exec "$python" benchmarks/gpu_check.py "$@"
