"""`benchmarks/gpu_check.sh` on a machine without a GPU: refused clearly, nothing half done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from patience import HANG_S

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def check(root: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script, run by this very Python."""
    return subprocess.run(
        ["bash", "benchmarks/gpu_check.sh", *words],
        cwd=root,
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


@without_gpu
def test_without_a_gpu_it_refuses(root_dir: Path) -> None:
    before = sorted(path.name for path in (root_dir / "benchmarks/results").iterdir())
    done = check(root_dir)
    assert done.returncode == 3
    what, why, fix = done.stderr.strip().splitlines()
    assert what == "there is no GPU here"
    assert why.startswith("why: PyTorch")
    assert "nvidia-smi" in fix
    assert "==" not in done.stdout, "no step may have begun"
    assert sorted(path.name for path in (root_dir / "benchmarks/results").iterdir()) == before


def test_a_python_without_pytorch_is_refused(root_dir: Path, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "$@"\n')
    bare.chmod(0o755)
    done = check(root_dir, PYTHON=str(bare), PYTHONPATH="")
    assert done.returncode == 3
    assert "PyTorch is missing" in done.stderr
    assert "pip install torch" in done.stderr


def test_an_unknown_step_is_a_usage_error(root_dir: Path) -> None:
    done = check(root_dir, "tests")
    assert done.returncode == 2
    assert "unknown step tests" in done.stderr
    assert "build, test, sanitize, operator, model and tensorrt" in done.stderr


@pytest.fixture
def pretend(tmp_path: Path) -> dict[str, str]:
    """A Python that claims a GPU, and tools that all succeed but the step named in FAIL."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cmake", "ninja", "nvcc", "compute-sanitizer", "cp", "mkdir", "nproc"):
        real = shutil.which(name) or "true"
        body = f'exec {real} "$@"' if name in ("mkdir", "nproc") else "exit 0"
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
    python = tools / "python"
    python.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "  *get_device_capability*) echo 90 ;;\n"
        '  *"-m pytest"*) [ "$FAIL" = skipped ] || echo 3 passed; [ "$FAIL" != test ] ;;\n'
        '  *gpu_operator.py*) [ "$FAIL" != operator ] || exit 6 ;;\n'
        '  *gpu_tensorrt.py*) [ "$FAIL" = tensorrt ] || exit 77; exit 5 ;;\n'
        "  *) exit 0 ;;\n"
        "esac\n"
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return {"PYTHON": str(python), "PATH": f"{tools}:{os.environ['PATH']}"}


@pytest.fixture
def copy(root_dir: Path, tmp_path: Path) -> Path:
    """The script alone in a tree of its own: its build step deletes and writes libraries."""
    target = tmp_path / "tree/benchmarks/gpu_check.sh"
    target.parent.mkdir(parents=True)
    shutil.copy(root_dir / "benchmarks/gpu_check.sh", target)
    return target.parent.parent


@pytest.mark.parametrize(
    ("failing", "status"), [("", 0), ("test", 6), ("skipped", 6), ("operator", 6), ("tensorrt", 5)]
)
def test_a_failed_step_is_reported_and_the_later_ones_still_run(
    copy: Path, pretend: dict[str, str], failing: str, status: int
) -> None:
    steps = ["build", "test", "operator", "model", "tensorrt"]
    done = check(copy, *steps, FAIL=failing, **pretend)
    assert done.returncode == status, done.stdout + done.stderr
    expected = [{"skipped": "test"}.get(failing, failing)] if failing else []
    summary = done.stdout.split("== summary, sm_90")[1].strip().splitlines()
    assert [line.split()[0] for line in summary] == steps
    assert [line.split()[0] for line in summary if "FAILED" in line] == expected
    assert ("skipped, see above" in summary[-1]) == (failing != "tensorrt")  # no TensorRT is no failure
