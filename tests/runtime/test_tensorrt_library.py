"""Which TensorRT is taken, and what is said where there is none, an old one or a broken one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_cuda import FakeCuda
from fake_tensorrt import FakeTensorRT

from vmexport.errors import EnvironmentProblem, UsageError
from vmexport.runtime.tensorrt.features import flavour_name, version_tuple
from vmexport.runtime.tensorrt.library import find_tensorrt


@pytest.fixture(autouse=True)
def _none_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)


def install(patch: pytest.MonkeyPatch, version: str, rtx: bool = False) -> None:
    patch.setitem(sys.modules, "tensorrt_rtx" if rtx else "tensorrt", FakeTensorRT(version, FakeCuda(), rtx))


def test_auto_prefers_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "1.7.1", rtx=True)
    assert find_tensorrt().name == "TensorRT-RTX 1.7.1"
    install(monkeypatch, "10.3.0")
    found = find_tensorrt()
    assert (found.name, found.flavour, found.features.major) == ("TensorRT 10.3.0", "tensorrt", 10)
    assert find_tensorrt("rtx").flavour == "rtx"


@pytest.mark.parametrize(
    ("choice", "fix"),
    [("auto", "vmexport[tensorrt]"), ("tensorrt", "vmexport[tensorrt]"), ("rtx", "vmexport[rtx]")],
)
def test_none(choice: str, fix: str) -> None:
    with pytest.raises(EnvironmentProblem, match="is not installed") as caught:
        find_tensorrt(choice)
    assert fix in caught.value.fix


def test_an_unknown_choice() -> None:
    with pytest.raises(UsageError, match="auto, tensorrt, rtx"):
        find_tensorrt("cuda")


@pytest.mark.parametrize(("version", "rtx"), [("8.5.2", False), ("8.4.1.5", False), ("0.9", True)])
def test_too_old(version: str, rtx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, version, rtx)
    with pytest.raises(EnvironmentProblem, match="too old for Python") as caught:
        find_tensorrt()
    assert "pip install --upgrade" in caught.value.fix


def test_installed_and_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its libraries are missing; nothing else is taken in its place."""
    monkeypatch.delitem(sys.modules, "tensorrt")
    install(monkeypatch, "1.7.1", rtx=True)
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentProblem, match="does not load") as caught:
        find_tensorrt()
    assert "libnvinfer.so.10" in caught.value.why


def test_a_module_without_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tensorrt")
    (tmp_path / "tensorrt.py").write_text("__version__ = 'unknown'")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentProblem, match="does not tell its version"):
        find_tensorrt()


def test_a_folder_of_that_name_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes any folder on its path for a package, such as a checkout of TensorRT's samples."""
    monkeypatch.delitem(sys.modules, "tensorrt")
    (tmp_path / "tensorrt").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentProblem, match="is not installed"):
        find_tensorrt()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("10.3.0.30", (10, 3, 0, 30)), ("8.6.1.post1", (8, 6, 1)), ("11.0", (11, 0)), ("unknown", ()), ("", ())],
)
def test_versions(text: str, numbers: tuple[int, ...]) -> None:
    assert version_tuple(text) == numbers


def test_names() -> None:
    assert flavour_name("rtx") == "TensorRT-RTX"
    assert flavour_name("tensorrt", "10.3.0") == "TensorRT 10.3.0"
