"""What stands beside an engine: whole round trips, damage, newer formats, writing that fails."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small import small_architecture

from vmexport.config import BatchProfile, ModelInfo, Preprocessing
from vmexport.documents import MOST_BYTES
from vmexport.errors import BuildError, InputError
from vmexport.runtime.tensorrt import EngineInfo, PluginRecord, read_sidecar, write_engine
from vmexport.runtime.tensorrt.sidecar import check_digest, sidecar_path

INFO = EngineInfo(
    model=ModelInfo(
        small_architecture(),
        labels=("a", "b", "c", "d", "e", "f", "Übung"),
        preprocessing=Preprocessing(stride=3),
        profile=BatchProfile(1, 2, 8),
        precision="fp16",
        extra={"parity": json.dumps({"status": "passed"})},
    ),
    flavour="tensorrt",
    version="10.3.0",
    compute_capabilities=("8.7",),
    gpu="Orin",
    cuda="12.6",
    plugin=PluginRecord("0.1.0", embedded=True),
    hardware_compatibility="ampere_plus",
    version_compatible=True,
)
AHEAD_OF_TIME = replace(
    INFO, flavour="rtx", compute_capabilities=("8.6", "12.0"), gpu="", cuda="", plugin=None
)


@pytest.mark.parametrize("info", [INFO, AHEAD_OF_TIME])
def test_it_is_read_as_it_was_written(info: EngineInfo, tmp_path: Path) -> None:
    path = tmp_path / "model.engine"
    written = write_engine(path, b"engine", info)
    assert path.read_bytes() == b"engine"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model.engine", "model.engine.json"]
    assert read_sidecar(path) == written == info.of(b"engine")
    check_digest(path, b"engine", written)


def test_it_is_json_for_people(tmp_path: Path) -> None:
    write_engine(tmp_path / "m.engine", b"engine", INFO)
    values = json.loads((tmp_path / "m.engine.json").read_text(encoding="utf-8"))
    assert values["format"] == 1
    assert values["model"]["labels"][-1] == "Übung"
    assert values["model"]["architecture"]["d_model"] == 32
    assert values["size_bytes"] == 6


def _changed(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda values: {**values, **changes}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_changed(flavour="openvino"), "invalid enum value .* in (model.)?flavour"),
        (_changed(version=10), "version should be str, got"),
        (_changed(compute_capabilities=[]), "compute_capabilities should be array of length >= 1"),
        (_changed(compute_capabilities="8.7"), "compute_capabilities should be array, got"),
        (_changed(version_compatible="yes"), "version_compatible should be bool, got"),
        (_changed(size_bytes="6"), "size_bytes should be int, got (bool|str)"),
        (_changed(size_bytes=True), "size_bytes should be int, got (bool|str)"),
        (_changed(hardware_compatibility="all"), "invalid enum value .* in (model.)?hardware_compatibility"),
        (_changed(plugin={"version": "1"}), "it lacks 'embedded' in plugin"),
        (_changed(plugin=7), "plugin should be object . null, got int"),
        (_changed(model=7), "model should be object, got int"),
        (_changed(model={}), "it lacks 'architecture'"),
        (_changed(surprise=1), "unknown entry 'surprise'"),
        (
            lambda values: {key: values[key] for key in values if key != "sha256"},
            "it lacks 'sha256'",
        ),
        (
            lambda values: _changed(model={**values["model"], "precision": "int8"})(values),
            "invalid enum value .* in (model.)?precision",
        ),
        (lambda values: _changed(model={**values["model"], "labels": ["one"]})(values), "1 labels for 7"),
        (
            lambda values: _changed(model={**values["model"], "extra": ["parity"]})(values),
            "extra should be object, got array",
        ),
        (
            lambda values: _changed(model={**values["model"], "labels": 3})(values),
            "labels should be array, got int",
        ),
    ],
)
def test_damaged_entries(change: Any, words: str, tmp_path: Path) -> None:
    write_engine(tmp_path / "m.engine", b"engine", INFO)
    path = sidecar_path(tmp_path / "m.engine")
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=words) as caught:
        read_sidecar(tmp_path / "m.engine")
    assert "is damaged" in caught.value.what
    assert "vmexport trt MODEL -o" in caught.value.fix


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"[]", b"7", b"{}", b'{"format": 1}', b"[" * 100_000, b'{"format": NaN}'],
)
def test_damaged_files(content: bytes, tmp_path: Path) -> None:
    sidecar_path(tmp_path / "m.engine").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_sidecar(tmp_path / "m.engine")
    assert caught.value.why
    assert caught.value.fix


def test_every_truncation_is_an_input_error(tmp_path: Path) -> None:
    write_engine(tmp_path / "m.engine", b"engine", INFO)
    path = sidecar_path(tmp_path / "m.engine")
    whole = path.read_bytes()
    for length in range(0, len(whole.rstrip()), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_sidecar(tmp_path / "m.engine")


def test_a_newer_format(tmp_path: Path) -> None:
    sidecar_path(tmp_path / "m.engine").write_text('{"format": 2, "engine": {}}')
    with pytest.raises(InputError, match="expected format 1, got 2") as caught:
        read_sidecar(tmp_path / "m.engine")
    assert caught.value.fix == "pip install --upgrade vmexport"


def test_a_sidecar_of_absurd_size(tmp_path: Path) -> None:
    with sidecar_path(tmp_path / "m.engine").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    with pytest.raises(InputError, match="too large"):
        read_sidecar(tmp_path / "m.engine")


def test_no_sidecar(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no sidecar"):
        read_sidecar(tmp_path / "m.engine")


def test_a_crash_between_the_two_files_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.engine"
    write_engine(path, b"old engine", INFO)

    def crash(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vmexport.runtime.tensorrt.sidecar.write_sidecar", crash)
    with pytest.raises(KeyboardInterrupt):
        write_engine(path, b"new engine", INFO)
    with pytest.raises(InputError, match="is not the engine that its sidecar describes"):
        check_digest(path, path.read_bytes(), read_sidecar(path))


def test_a_full_disk_leaves_the_old_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.engine"
    write_engine(path, b"old engine", INFO)

    def full(*arguments: Any, **keywords: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BuildError, match="the disk is full"):
        write_engine(path, b"new engine", INFO)
    check_digest(path, path.read_bytes(), read_sidecar(path))
    assert len(list(tmp_path.iterdir())) == 2
