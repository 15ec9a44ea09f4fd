"""Which names are those of an exported file, an engine, a preset."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmexport.config.names import is_engine, is_onnx, is_preset


@pytest.mark.parametrize(
    ("name", "yes"),
    [("a.engine", True), ("a.PLAN", True), ("a.trt", True), ("a.onnx", False), ("engine", False)],
)
def test_names_of_engines(name: str, yes: bool) -> None:
    assert is_engine(name) is yes
    assert is_engine(Path(name)) is yes


@pytest.mark.parametrize(("name", "yes"), [("a.onnx", True), ("b/a.ONNX", True), ("onnx", False), (7, False)])
def test_names_of_onnx_files(name: object, yes: bool) -> None:
    assert is_onnx(name) is yes


def test_names_of_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights").touch()
    assert [is_preset(name) for name in ("tiny", "own.toml", "no\0file")] == [True, True, True]
    assert [is_preset(name) for name in ("weights", "a.pth", "folder/tiny")] == [False, False, False]
