"""`vmexport trt` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import TINY, vmexport
from small import small_model

from vmexport.export import export_onnx

ABSENT = ("tensorrt", "tensorrt_rtx")
NOTHING = ("torch", "onnx", "onnxruntime", "onnxscript", "av", "safetensors", "cuda", *ABSENT)


def test_help_works_with_nothing_optional(tmp_path: Path) -> None:
    done = vmexport("trt", "--help", folder=tmp_path, blocked=NOTHING)
    assert done.returncode == 0, done.stderr
    for word in (
        "--fp16",
        "--timing-cache",
        "--compute-capability 8.9",
        "--embed-plugin",
        "--profile-layers",
    ):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--fp16", "--bf16"), 2, "one precision"),
        (("--opt-level", "9"), 2, "opt-level"),
        (("model.onnx", "--frames", "8"), 2, "settings of an export"),
        (("missing.onnx",), 4, "no such file"),
        (TINY, 3, "pip install --extra-index-url https://pypi.nvidia.com 'vmexport[tensorrt]'"),
        ((*TINY, "--runtime", "rtx"), 3, "pip install 'vmexport[rtx]'"),
    ],
)
def test_errors_say_the_fix(words: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    done = vmexport("trt", *words, folder=tmp_path, blocked=ABSENT)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_file_of_this_folder_becomes_an_engine(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    export_onnx(small_model(), tmp_path / "model.onnx", check=False)
    words = ("trt", "--runtime", "rtx", "--compute-capability", "8.9", "--json")
    done = vmexport(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "took model.onnx of this folder" in done.stderr
    report = json.loads(done.stdout)
    assert (report["path"], report["compute_capabilities"]) == ("model.engine", ["8.9"])
    assert report["proven"] == "onnx"
    assert (tmp_path / "model.engine.json").exists()
    table = vmexport(*words[:-1], folder=tmp_path)
    assert table.returncode == 0, table.stderr
    assert "Up to date" in table.stdout
    told = vmexport("info", "model.engine", folder=tmp_path)
    assert "TensorRT-RTX" in told.stdout
