"""Portable files in Python: `runtimes.py RUNTIME FOLDER`; runtimes.mjs is the same in JavaScript."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Classify = Callable[[Any], Any]
runtime, folder = sys.argv[1], Path(sys.argv[2])


def openvino(path: str) -> Classify:
    """OpenVINO on a CPU, in the file's own precision."""
    import openvino  # type: ignore[import-not-found, unused-ignore]

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda clips: model(clips)[0]


def onnxruntime(path: str) -> Classify:
    """ONNX Runtime without anything of ours."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda clips: session.run(None, {"clips": clips})[0]


def onnx(path: str) -> Classify:
    """The reference evaluator of the package onnx."""
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(path)
    return lambda clips: evaluator.run(None, {"clips": clips})[0]


cases: dict[str, Any] = json.loads((folder / "cases.json").read_text())
clips = np.fromfile(folder / "clips.bin", np.float32).reshape(-1, *cases["shape"])
for file, batches in cases["files"].items():
    classify = {"openvino": openvino, "onnxruntime": onnxruntime, "onnx": onnx}[runtime](str(folder / file))
    for batch in batches:
        logits = np.asarray(classify(clips[:batch]), np.float32)
        logits.tofile(folder / f"{runtime}-{file}-{batch}.bin")
print(__import__(runtime).__version__.split("-")[0])
