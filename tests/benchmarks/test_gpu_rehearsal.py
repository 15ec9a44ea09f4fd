"""The GPU check rehearsed without a GPU: every step starts, imports, finds its files, and ends for that.

Another Python rehearses it with that machine's packages: VMEXPORT_REHEARSAL_PYTHON=/path/to/python. The
bundle is the real one where `make gpu-bundle` built it; otherwise its program only says that there is no GPU.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gpu_check import NOT_RUN, OK, STEPS
from sources import git, write_manifest

PYTHON = os.environ.get("VMEXPORT_REHEARSAL_PYTHON", sys.executable)
TOOLS = {
    "nvidia-smi": 'case "$*" in *compute_cap*) echo 9.0 ;; *) echo "NVIDIA H200, or so it says" ;; esac',
    "ncu": 'for word; do case $word in */cuda_device_tests) exec "$word" ;; esac; done',
    "compute-sanitizer": 'for word; do case $word in */cuda_device_tests) exec "$word" ;; esac; done',
}
NO_GPU = ("GPU", "CUDA", "TensorRT")
"""A reason that the machine gives has one of these words."""

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@pytest.fixture
def copy(root_dir: Path, tmp_path: Path) -> Path:
    """The tracked files without their history, the bundle, and tools that find a GPU where none is."""
    tree = tmp_path / "tree"
    for name in git(root_dir, "ls-files", "-z").split("\0"):
        if name and (root_dir / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root_dir / name, tree / name)
    bundle = tree / "build/gpu-bundle"
    if (root_dir / "build/gpu-bundle/bin").is_dir():
        shutil.copytree(root_dir / "build/gpu-bundle", bundle)
    else:
        (bundle / "bin").mkdir(parents=True)
        (bundle / "native").mkdir()
        program = bundle / "bin/cuda_device_tests"
        program.write_text("#!/bin/sh\necho 'there is no GPU to test on'\necho 'why: no driver'\nexit 3\n")
        (bundle / "capability").write_text("9.0\n")
    write_manifest(root_dir, bundle / "sources.json")  # as if it had been built of these very files
    (tmp_path / "tools").mkdir()
    for name, body in TOOLS.items():
        tool = tmp_path / "tools" / name
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
    return tree


def rehearse(tree: Path, *words: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The script's status, and outcome and reason by step."""
    results = tree.parent / "results"
    path = f"{tree.parent / 'tools'}:{Path(PYTHON).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [
            "bash",
            "benchmarks/gpu_check.sh",
            *words,
            "--allow-dirty",
            "--results",
            str(results),
            "--seconds",
            "3000",
        ],
        cwd=tree,
        env={"PYTHON": PYTHON, "PATH": path, "HOME": str(tree.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    found: dict[str, tuple[str, str]] = {}
    for file in sorted(results.glob("check-*.json")):
        rows = json.loads(file.read_text())["steps"]
        found |= {row["step"]: (row["outcome"], row["why"]) for row in rows}
    return done.returncode, found


def check_rehearsal(status: int, found: dict[str, tuple[str, str]], steps: set[str]) -> None:
    assert status == 3
    assert steps <= set(found)
    assert found.pop("build") == (OK, "")
    found.pop("machine", None)
    for step, (outcome, why) in found.items():
        assert outcome == NOT_RUN, f"{step}: {outcome}, {why}"
        assert any(word in why for word in NO_GPU), f"{step}: {why}"


def test_two_steps(copy: Path) -> None:
    steps = ("device-tests", "operator")
    check_rehearsal(*rehearse(copy, *steps), {*steps})


@pytest.mark.integration
def test_the_whole_script(copy: Path) -> None:
    check_rehearsal(*rehearse(copy), {step.name for step in STEPS})
