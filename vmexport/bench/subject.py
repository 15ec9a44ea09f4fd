"""What a benchmark measures, as files that every backend's process can open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmexport.config import BatchProfile, ModelInfo
from vmexport.errors import UsageError

DEFAULT_FILES = ("model.onnx", "model.safetensors")


@dataclass(frozen=True)
class Subject:
    """A model on disk.

    Attributes:
        name: what it is, in words.
        info: what the `.onnx` file says of itself.
        onnx: the exported file.
        checkpoint: weights for PyTorch; None where only the `.onnx` file is known.
    """

    name: str
    info: ModelInfo
    onnx: Path
    checkpoint: Path | None


def subject(
    model: Any, folder: Path, batch: int, overrides: Mapping[str, Any], say: Callable[[str], None]
) -> Subject:
    """Find or make the files of a model.

    Args:
        model: a `VideoMamba`, a file, a preset's name, or None for the working directory's files.
        folder: for files that must be made.
        batch: clips of one call, for an export.
        overrides: architecture settings, for a preset or a checkpoint.
        say: called with a few words at the start of each step.

    Raises:
        UsageError: overrides for an `.onnx` file, whose settings are fixed.
        InputError: the model cannot be used.
    """
    if model is None:
        model = next((name for name in DEFAULT_FILES if Path(name).is_file()), None)
    if isinstance(model, str | Path) and Path(model).suffix.lower() == ".onnx":
        return _exported(Path(model), overrides)
    return _export(model, folder, batch, overrides, say)


def _exported(path: Path, overrides: Mapping[str, Any]) -> Subject:
    """An `.onnx` file as it is."""
    from vmexport.export.metadata import read_info

    info = read_info(path)
    settings = info.architecture.to_dict()
    for name, wanted in overrides.items():
        if settings.get(name, wanted) != wanted:
            raise UsageError(
                f"{path} has {name} {settings[name]}, not {wanted}",
                "an exported file's settings are fixed",
                f"export again: vmexport onnx --{name.replace('num_', '')} {wanted} -o {path}",
            )
    return Subject(str(path), info, path, None)


def _export(
    model: Any, folder: Path, batch: int, overrides: Mapping[str, Any], say: Callable[[str], None]
) -> Subject:
    """Weights in PyTorch, exported for this benchmark, which compares by itself."""
    from vmexport.export.onnx import export_onnx
    from vmexport.model import VideoMamba, resolve_model, save_checkpoint

    if isinstance(model, VideoMamba):
        network, name = model, "the network"
    else:
        say("loading the model")
        network, sentence = resolve_model(model, **overrides)
        name = sentence.rstrip(".")
    checkpoint = save_checkpoint(network, folder / "model.safetensors")
    path = folder / "model.onnx"
    export_onnx(network, path, batch=batch, check=False, progress=say)
    return Subject(name, ModelInfo(network.architecture, profile=BatchProfile.parse(batch)), path, checkpoint)
