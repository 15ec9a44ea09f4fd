"""What all of `make portability` shares: the wheel, files exported once, and a table of what ran."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from environments import ROOT, RUNNING, TORCH, Environment, find_python

from vmexport.export import export_onnx

BATCH = 4


@pytest.fixture(scope="session")
def wheel() -> Path:
    """What `make wheel` left in dist/."""
    found = sorted((ROOT / "dist").glob("vmexport-*.whl"))
    assert len(found) == 1, f"expected one wheel in dist/, found {found}; make wheel"
    return found[0]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files of every kind, and the logits that PyTorch gives; see parity.py."""
    import torch
    from small import noise, small_model

    folder = tmp_path_factory.mktemp("exported")
    model = small_model(num_classes=3, frames=8)
    export_onnx(model, folder / "static.onnx")
    export_onnx(model, folder / "dynamic.onnx", batch=f"1:2:{BATCH}")
    export_onnx(model, folder / "half.onnx", precision="fp16")
    export_onnx(model, folder / "half-dynamic.onnx", precision="fp16", batch=f"1:2:{BATCH}")
    clips = noise(model.architecture, BATCH)
    np.save(folder / "clips.npy", clips)
    with torch.inference_mode():
        np.save(folder / "logits.npy", model(torch.from_numpy(clips)).numpy())
    return folder


@pytest.fixture(scope="module")
def exporter(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install '.[cpu,export]'` after the PyTorch that the Makefile installs, on its Python."""
    python = find_python(RUNNING) or sys.executable
    environment = Environment.make(python, tmp_path_factory.mktemp("exporter"))
    environment.pip("install", TORCH)
    environment.pip("install", f"{wheel}[cpu,export]")
    return environment


_outcomes: dict[str, tuple[str, float, str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember how each test ended."""
    status, seconds, why = _outcomes.get(report.nodeid, ("passed", 0.0, ""))
    if report.skipped:
        told = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        status, why = "skipped", told.removeprefix("Skipped: ")
    elif report.failed:
        status = "FAILED"
    said = [text for name, text in report.user_properties if name == "said"]
    why = why or "; ".join(map(str, said))
    _outcomes[report.nodeid] = (status, seconds + report.duration, why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What ran, what did not, and why."""
    terminalreporter.section("portability")
    for nodeid, (status, seconds, why) in _outcomes.items():
        name = nodeid.rpartition("/")[2].replace(".py::test_", ": ").removeprefix("test_")
        terminalreporter.line(f"{status:8}{seconds:7.1f} s  {name}{'  (' + why + ')' if why else ''}")
