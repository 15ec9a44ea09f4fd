#!/usr/bin/env bash
# The whole product on one machine without a GPU. Called by `make demo`.
# Without VIDEO: makes films, trains a small VideoMamba on them, exports it, checks it, times it, evaluates it, and
# lets it name a film that it has never seen. With VIDEO=path: exports the full-size model, with random weights, and
# runs it on that file.
set -euo pipefail
vmexport=${VMEXPORT:-vmexport}
video=${VIDEO:-}
if [ -n "$video" ]; then
  video=$(realpath -- "$video")
fi
mkdir -p demo
cd demo

step() { printf '\n$ vmexport %s\n' "$*"; "$vmexport" "$@"; }

if [ -n "$video" ]; then
  step onnx videomamba_small --frames 16 -o full-size.onnx
  step check videomamba_small full-size.onnx
  step bench full-size.onnx
  step predict full-size.onnx "$video"
  exit
fi

[ -d motion ] || step data synth motion --clips 960 --seed 7
rm -rf run model.safetensors model.onnx
step train --data motion --config synthetic --epochs 12 --out run
step onnx --batch 1
step check model.safetensors model.onnx
step bench model.onnx
step eval model.onnx --data motion --reorder all
film=$(find motion/val -name '*.mp4' | sort | head -n 1)
step predict model.onnx "$film" --topk 3
printf '\nThe film shows: %s\n' "$(basename "$(dirname "$film")")"
