#!/usr/bin/env bash
# The main job, end to end: a full-size VideoMamba from weights to a checked ONNX model that classifies a video.
# Called by `make demo`; VIDEO=path uses another clip than the one made here.
set -euo pipefail
vmexport=${VMEXPORT:-vmexport}
python=${PYTHON:-python3}
mkdir -p demo
video=${VIDEO:-}
if [ -n "$video" ]; then
  video=$(realpath -- "$video")
fi
cd demo
if [ -z "$video" ]; then
  video=clip.mp4
  "$python" -c 'from vmexport.video.encode import write_demo_clip; write_demo_clip("clip.mp4")'
fi

step() { printf '\n$ vmexport %s\n' "$*"; "$vmexport" "$@"; }

step onnx videomamba_small --frames 16 -o model.onnx
step check videomamba_small model.onnx
step bench model.onnx
step predict model.onnx "$video"
