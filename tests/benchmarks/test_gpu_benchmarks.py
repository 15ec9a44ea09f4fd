"""The parts of the GPU benchmarks that compute without one: names, goals, rows, refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gpu_common
import gpu_model
import gpu_operator
import pytest
import torch
from patience import HANG_S


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("NVIDIA H200", "h200"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-40GB", "a100"),
        ("NVIDIA A100 80GB PCIe", "a100"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("Tesla T4", "t4"),
        ("Orin", "orin"),
        ("NVIDIA", "gpu"),
    ],
)
def test_the_prefix_of_a_device(device: str, name: str) -> None:
    assert gpu_common.short_name(device) == name


@pytest.mark.parametrize(
    ("each", "cache", "copies"), [(10, 100, 21), (1000, 100, 2), (0, 0, 2), (30, 100, 8)]
)
def test_rotating_inputs_never_lie_in_the_cache(each: int, cache: int, copies: int) -> None:
    assert gpu_common.copies_beyond_cache(each, cache) == copies
    assert copies * each > cache or each == 0


def test_nan_is_no_small_error() -> None:
    good = torch.ones(4)
    assert gpu_common.relative_error(good, good) == 0
    assert gpu_common.relative_error(good * torch.nan, good) == float("inf")


def test_all_rows_of_the_operator() -> None:
    rows = gpu_operator.settings("all")
    assert len(rows) == len(set(rows)) == 16
    assert {(row.batch, row.length, row.dtype) for row in gpu_operator.settings("goal")} == {
        (batch, 1569, dtype) for batch in (1, 8) for dtype in ("fp16", "fp32")
    }


def row(batch: int = 1, **times: float) -> dict[str, Any]:
    """A measured row at the size that the goals are set for."""
    named = {gpu_operator.OURS: times.get("ours"), gpu_operator.MAMBA: times.get("mamba")}
    found = {name: {"median_us": value} for name, value in named.items() if value is not None}
    return {"batch": batch, "length": 1569, "dtype": "fp16", "times": found}


def test_goals_of_the_operator_on_the_gpu_they_are_set_for() -> None:
    goals = gpu_operator.goals([row(1, ours=20, mamba=80), row(8, ours=140, mamba=420)], "h200")
    assert [goal.verdict for goal in goals] == ["must", "target", "MISSED", "MISSED"]


def test_other_gpus_have_ratios_only() -> None:
    (goal,) = gpu_operator.goals([row(1, ours=20, mamba=60)], "rtx-4090")
    assert goal.value == 3
    assert not goal.at_most


def test_a_row_that_failed_parity_has_no_goal() -> None:
    assert not gpu_operator.goals([row(1, mamba=60)], "h200")
    assert not gpu_operator.goals([{**row(1, ours=1, mamba=60), "length": 785}], "h200")
    assert not gpu_operator.goals([{**row(1, ours=1, mamba=60), "dtype": "fp32"}], "h200")


def test_a_contender_without_parity_shows_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    failed = {**row(1, mamba=60), "relative_l2": {gpu_operator.OURS: 0.5, gpu_operator.MAMBA: 1e-4}}
    gpu_operator.show(failed)
    ours, mamba = capsys.readouterr().out.splitlines()
    assert "no number: relative L2 error 5.0e-01" in ours
    assert "60.0 us" in mamba


def test_goals_of_the_model() -> None:
    times = {"vmexport, CUDA graph": {"median_ms": 2.0}, "mamba-ssm, eager": {"median_ms": 9.0}}
    rows = [
        {"batch": 1, "precision": "fp16", "times": times},
        {"batch": 1, "precision": "fp32", "times": times},
    ]
    (goal,) = gpu_model.goals(rows)
    assert (goal.value, goal.verdict) == (4.5, "must")
    del times["mamba-ssm, eager"]
    assert not gpu_model.goals(rows)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    "script", ["gpu_operator.py", "gpu_model.py", "gpu_onnxruntime.py", "gpu_tensorrt.py"]
)
def test_without_a_gpu_a_benchmark_refuses(root_dir: Path, script: str) -> None:
    command = [sys.executable, f"benchmarks/{script}"]
    environment = {"PYTHONPATH": str(root_dir), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=root_dir, env=environment, capture_output=True, text=True, check=False, timeout=HANG_S
    )
    assert done.returncode == 3
    assert "this benchmark needs a GPU" in done.stderr
    assert "nvidia-smi" in done.stderr
