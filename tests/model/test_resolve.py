"""What MODEL may be on a command line, and what the user is told about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from vmexport.errors import InputError, UsageError
from vmexport.model import create_model, resolve_model, save_checkpoint

SMALL: dict[str, Any] = {"d_model": 16, "depth": 1, "size": 16, "frames": 2, "num_classes": 3}


def test_a_preset() -> None:
    model, told = resolve_model("videomamba_tiny", **SMALL, interpolate_time=True, trust_pickle=None)
    assert model.architecture.d_model == 16
    assert "preset videomamba_tiny" in told
    assert "random" in told


def test_a_file(tmp_path: Path) -> None:
    path = save_checkpoint(create_model("videomamba_tiny", **SMALL), tmp_path / "mine.safetensors")
    model, told = resolve_model(path, num_classes=5)
    assert told.startswith("loaded mine.safetensors")
    assert "the head is new: 5 classes" in told
    assert torch.isfinite(model.head.weight).all()


def test_nothing_takes_the_folders_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, told = resolve_model(None, **SMALL)
    assert told.startswith("no model was named and there is no model.safetensors here: took the preset")
    assert "random" in told
    save_checkpoint(create_model("videomamba_tiny", **SMALL), "model.safetensors")
    model, told = resolve_model(None)
    assert told == "no model was named: took model.safetensors of this folder."
    assert model.architecture.num_classes == 3


def test_a_file_without_suffix_is_preferred_to_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoint(create_model("videomamba_tiny", **SMALL), "weights")
    assert resolve_model("weights")[1].startswith("loaded weights")


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="videomamba_tiny"):
        resolve_model("videomamba_tyni")
    with pytest.raises(UsageError, match="no preset"):
        resolve_model("a" * 5000)
    with pytest.raises(UsageError, match="a Linear is no model"):
        resolve_model(torch.nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such file"):
        resolve_model(tmp_path / "gone.pth")
    with pytest.raises(InputError, match="exported model"):
        resolve_model("model.onnx")
