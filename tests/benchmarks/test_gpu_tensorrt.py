"""The TensorRT benchmark around its engine: a stand-in for `vmexport-run` answers as told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gpu_tensorrt
import numpy as np
import pytest
from gpu_tensorrt import NoTensorRT, Tools
from small import small_model

MEASURED = {
    "runtime": "TensorRT 10.3.0",
    "latency_without_transfers": {"median_ms": 1.0},
    "latency_with_transfers": {"median_ms": 1.5},
    "device_memory_bytes": 120_000_000,
}


class Stand:
    """A folder with clips, and a runner that writes down its words and ends as told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.inputs = folder, (folder / "clips1.npy", folder / "logits1.npy")
        np.save(self.inputs[0], np.zeros((1, 3, 4, 32, 32), np.float32))
        self.words = folder / "words"

    def tools(self, status: int, output: str = "", error: str = "") -> Tools:
        runner = self.folder / "vmexport-run"
        (self.folder / "out").write_text(output)
        (self.folder / "err").write_text(error)
        shown = (f'echo "$@" >{self.words}', f"cat {self.folder}/out", f"cat {self.folder}/err >&2")
        runner.write_text("\n".join(["#!/bin/sh", *shown, f"exit {status}"]))
        runner.chmod(0o755)
        return Tools(runner, self.folder / "libvmexport_trt_autoreg.so", "/opt/tensorrt/lib")

    def measure(self, tools: Tools) -> dict[str, Any]:
        return gpu_tensorrt.measure(tools, small_model(), self.folder, "fp16", self.inputs)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def test_an_engine_is_compared_before_it_is_timed(stand: Stand) -> None:
    row = stand.measure(stand.tools(0, json.dumps(MEASURED)))
    assert (row["batch"], row["precision"], row["exit_status"]) == (1, "fp16", 0)
    assert row["latency_without_transfers"]["median_ms"] == 1.0
    words = stand.words.read_text().split()
    assert words[:2] == [str(stand.folder / "fp16-1.onnx"), str(stand.inputs[0])]
    for option, value in (
        ("--plugin", str(stand.folder / "libvmexport_trt_autoreg.so")),
        ("--expect", str(stand.inputs[1])),
        ("--tolerance", "fp16"),
        ("--lib-dir", "/opt/tensorrt/lib"),
    ):
        assert words[words.index(option) + 1] == value


def test_a_failed_comparison_has_no_number(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    row = stand.measure(stand.tools(6, "", "error: the logits differ"))
    assert row["exit_status"] == 6
    gpu_tensorrt.show(row)
    assert "no number, exit status 6: error: the logits differ" in capsys.readouterr().out
    assert not gpu_tensorrt.goals([row], "h200")


def test_no_library_of_tensorrt_is_a_reason_to_skip(stand: Stand) -> None:
    with pytest.raises(NoTensorRT, match=r"libnvinfer\.so\.10 was not found"):
        stand.measure(stand.tools(3, "", "error: libnvinfer.so.10\n  was not found"))


def test_what_is_not_built_is_a_reason_to_skip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_tensorrt, "library_path", lambda _name: None)
    with pytest.raises(NoTensorRT, match=r"libvmexport_trt_autoreg\.so is not built"):
        gpu_tensorrt.find_tools("")
    plugin = tmp_path / "libvmexport_trt_autoreg.so"
    monkeypatch.setattr(gpu_tensorrt, "library_path", lambda _name: plugin)
    with pytest.raises(NoTensorRT, match="vmexport-run is not built"):
        gpu_tensorrt.find_tools("")
    (tmp_path / "vmexport-run").touch()
    assert gpu_tensorrt.find_tools("").plugin == plugin


def test_goals_are_set_for_one_gpu() -> None:
    rows = [{**MEASURED, "batch": batch, "precision": "fp16", "exit_status": 0} for batch in (1, 8)]
    verdicts = [goal.verdict for goal in gpu_tensorrt.goals(rows, "h200")]
    assert verdicts == ["must", "must", "target"]
    assert not gpu_tensorrt.goals(rows, "orin")
