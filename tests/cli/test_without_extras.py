"""The program starts, helps and examines with nothing optional installed, and quickly."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from program import TINY, environment, vmexport

HEAVY = ("torch", "onnx", "onnxruntime", "onnxscript", "av", "safetensors")


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["doctor"], ["train", "--help"], ["predict", "--help"]]
)
def test_works_with_nothing_optional(words: list[str], tmp_path: Path) -> None:
    done = vmexport(*words, folder=tmp_path, blocked=HEAVY)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_doctor_names_what_is_missing_and_the_pip_line(tmp_path: Path) -> None:
    done = vmexport("doctor", "--json", folder=tmp_path, blocked=HEAVY)
    report = json.loads(done.stdout)
    packages = {finding["name"]: finding for finding in report["packages"]}
    assert packages["onnxruntime"]["status"] == "missing"
    assert packages["onnxruntime"]["fix"] == "pip install 'vmexport[cpu]'"
    assert report["usable"]


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("torch", ["models"], "export"),
        ("torch", ["onnx"], "cpu,export"),
        ("onnx", ["onnx"], "cpu,export"),
        ("safetensors", ["onnx"], "cpu,export"),
        ("torch", ["bench", "videomamba_tiny"], "export"),
        ("accelerate", ["train", "--data", "."], "train"),
    ],
)
def test_a_missing_package_is_exit_3_with_a_fix(
    package: str, words: list[str], extra: str, tmp_path: Path
) -> None:
    done = vmexport(*words, folder=tmp_path, blocked=(package,))
    assert done.returncode == 3, done.stderr
    assert f"the Python package {package} is not installed" in done.stderr
    assert f"fix: pip install 'vmexport[{extra}]'" in done.stderr


def test_importing_the_program_imports_nothing_heavy() -> None:
    code = f"import sys, vmexport, vmexport.cli.main; print(sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_help_is_quick(tmp_path: Path) -> None:
    """In seconds of a processor, which other work on the machine does not use up; the best of three."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    times = []
    for _ in range(3):
        before = used()
        assert vmexport("--help", folder=tmp_path).returncode == 0
        times.append(used() - before)
    assert min(times) < 1.0


def test_a_board_without_torch_builds_and_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an exported file: facts, an engine, a comparison, times; PyTorch is a row without numbers."""
    pytest.importorskip("tensorrt_rtx")
    made = vmexport("onnx", *TINY, "-o", "model.onnx", "--no-check", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    for name in ("torch", "onnxscript", "safetensors"):  # for processes that the program starts, too
        missing = f"raise ModuleNotFoundError('No module named {name}', name='{name}')\n"
        (tmp_path / "missing").mkdir(exist_ok=True)
        (tmp_path / "missing" / f"{name}.py").write_text(missing)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "missing"))

    def lean(*words: str) -> str:
        done = vmexport(*words, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(lean("info", "model.onnx", "--json"))["tokens"] > 0
    engine = json.loads(
        lean("trt", "--runtime", "rtx", "--no-check", "--compute-capability", "8.9", "--json")
    )
    assert engine["proven"] == "nothing"
    assert json.loads(lean("check", "model.onnx", "model.onnx", "--json"))["passed"]
    rows = {
        row["backend"]: row
        for row in json.loads(lean("bench", "model.onnx", "--runs", "3", "--json"))["results"]
    }
    assert (rows["torch"]["status"], rows["ort-body"]["status"]) == ("skipped", "measured")
    assert "PyTorch is not installed" in rows["torch"]["reason"]


TORCH = ("torch", "onnx", "onnxscript", "safetensors", "torchmetrics", "matplotlib")
"""What a machine that only runs exported files does not have."""


def test_exported_files_are_evaluated_without_torch(films_of_classes: Path, tmp_path: Path) -> None:
    """Also with threads, and to the very result that PyTorch's presence gives."""
    from labelled import FRAMES
    from small import small_model

    from vmexport.export import export_onnx

    export_onnx(small_model(num_classes=3, frames=FRAMES), tmp_path / "model.onnx", check=False)
    words = ["eval", "model.onnx", "--data", str(films_of_classes), "--reorder", "all", "--json"]
    reports = []
    for blocked, workers in (((), "0"), (TORCH, "0"), (TORCH, "2")):
        done = vmexport(*words, "--workers", workers, folder=tmp_path, blocked=blocked)
        assert done.returncode == 0, done.stderr
        reports.append({**json.loads(done.stdout), "seconds": 0})
    assert reports[0] == reports[1] == reports[2]
    told = [vmexport("info", "model.onnx", folder=tmp_path, blocked=blocked) for blocked in ((), TORCH)]
    assert told[0].stdout == told[1].stdout != ""
