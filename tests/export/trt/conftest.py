"""A machine on which engines can be built: fake GPU, fake TensorRT, and a small exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from build_machine import BuildMachine, MakeMachine
from engines import fake_machine
from fake_builder import Workshop
from small import small_model

from vmexport.export import export_onnx

GIB = 1 << 30


@pytest.fixture
def make_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeMachine:
    """Sets up a machine; its cache folder is the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(version: str = "10.3.0", **options: Any) -> BuildMachine:
        machine = fake_machine(monkeypatch, version, **{"total": 4 * GIB, **options})
        return BuildMachine(machine.cuda, Workshop(machine.trt))

    return make


@pytest.fixture
def machine(make_machine: MakeMachine) -> BuildMachine:
    """TensorRT 10.3 on an Orin, as JetPack 6.2 has it."""
    return make_machine()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 ONNX file that serves batch 1 to 4."""
    path = tmp_path_factory.mktemp("trt") / "model.onnx"
    export_onnx(small_model(), path, batch="1:2:4", check=False)
    return path


@pytest.fixture(scope="session")
def exported_fp16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in half precision."""
    path = tmp_path_factory.mktemp("trt16") / "model.onnx"
    export_onnx(small_model(), path, batch="1:2:4", precision="fp16", check=False)
    return path
