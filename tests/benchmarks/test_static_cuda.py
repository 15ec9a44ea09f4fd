"""The CUDA kernels as `make cuda-compile` compiles them: no spills, few instructions, as in the report."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from static_cuda import GOAL_INSTRUCTIONS, RESULT, measure, nvcc_version

pytestmark = pytest.mark.compiled

ARCHITECTURES = ("sm_87", "sm_90")
EIGHT_LANES_INSTRUCTIONS = 8.3
"""One clip alone does not fill a GPU: states are split further, and their sum over lanes costs more."""


@functools.cache
def compiled(library: Path) -> dict[str, Any]:
    return measure(library, ARCHITECTURES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_kernel_spills(cuda_library: Path, architecture: str) -> None:
    kernels = compiled(cuda_library)["kernels"][architecture]
    assert any("scan_kernel" in name for name in kernels)
    assert any("conv_kernel" in name for name in kernels)
    for name, figures in kernels.items():
        assert figures["spill_bytes"] == 0, name
        assert figures["local_accesses"] == 0, name


@pytest.mark.parametrize(
    ("gpu", "batch"), [("AGX Orin", 1), ("AGX Orin", 8), ("Orin Nano", 1), ("H200", 1), ("H200", 8)]
)
def test_instructions_an_element(cuda_library: Path, gpu: str, batch: int) -> None:
    (row,) = [x for x in compiled(cuda_library)["scan"] if (x["gpu"], x["B"]) == (gpu, batch)]
    limit = GOAL_INSTRUCTIONS if row["plan"]["lanes"] < 8 else EIGHT_LANES_INSTRUCTIONS
    assert 1 < row["instructions_per_element"] <= limit


def test_the_committed_report_is_this_code(cuda_library: Path) -> None:
    report = json.loads(RESULT.read_text(encoding="utf-8"))
    now = compiled(cuda_library)
    if report["nvcc"] != nvcc_version():
        pytest.skip(f"the report is of nvcc {report['nvcc']}, this machine has {nvcc_version()}")
    advice = "run make cuda-release and benchmarks/static_cuda.py, and commit the report"
    for architecture in ARCHITECTURES:
        assert now["kernels"][architecture] == report["kernels"][architecture], advice
    assert now["scan"] == [x for x in report["scan"] if x["architecture"] in ARCHITECTURES], advice
