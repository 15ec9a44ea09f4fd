"""Wherever a command takes MODEL: a file, a preset's name, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vmexport.config.names import WEIGHTS_FILE, is_engine, is_onnx, is_preset
from vmexport.errors import InputError, UsageError
from vmexport.model.cards import create_model
from vmexport.model.checkpoints import load_checkpoint
from vmexport.model.network import VideoMamba

DEFAULT_PRESET = "videomamba_small"
LOADING = (
    "trust_pickle",
    "weights",
    "interpolate_time",
    "interpolate_space",
    "init_position",
    "sampling",
    "reading",
)
"""Arguments of `load_checkpoint` that mean nothing to a preset."""


def resolve_model(
    text: str | Path | None, *, labels: Sequence[str] | None = None, **overrides: Any
) -> tuple[VideoMamba, str]:
    """Find the model that a user means.

    Args:
        text: a checkpoint, the path of a card (`.toml`), a preset's name, or None: then `model.safetensors`
            in the working directory, or else the preset `videomamba_small` with random weights.
        labels: class names in place of the model's, in class order.
        **overrides: arguments of `load_checkpoint` and settings of `Architecture`; None stands for no change.

    Returns:
        The model, and a sentence that says what was taken and what was changed.

    Raises:
        InputError: the file is missing or not usable, or the labels are not one a class.
        UsageError: no preset has this name, a setting does not fit, or `text` is of another type.
    """
    model, sentence = _found(text, {name: value for name, value in overrides.items() if value is not None})
    if labels is not None:
        model.info = replace(model.info, labels=tuple(labels))
    return model, sentence


def _found(text: str | Path | None, overrides: dict[str, Any]) -> tuple[VideoMamba, str]:
    """The model that is meant, with its own labels."""
    settings = {name: value for name, value in overrides.items() if name not in LOADING}
    if text is None:
        if Path(WEIGHTS_FILE).is_file():
            return _loaded(Path(WEIGHTS_FILE), "no model was named: took {} of this folder", overrides)
        model = create_model(DEFAULT_PRESET, **settings)
        told = f"no model was named and there is no {WEIGHTS_FILE} here: took the preset {DEFAULT_PRESET}"
        return model, f"{told}; {'; '.join(model.notes)}."
    if not isinstance(text, str | Path):
        raise UsageError(
            f"a {type(text).__name__} is no model",
            "expected a VideoMamba, a file or a preset's name",
            "create_model and load_checkpoint make a VideoMamba",
        )
    path = Path(text)
    if is_onnx(path) or is_engine(path):
        raise InputError(
            f"{path} is an exported model, not a checkpoint",
            "this needs weights: a .safetensors or .pth file, or a preset's name",
            f"give the file it was exported from, or a preset: {DEFAULT_PRESET}",
        )
    if is_preset(path):
        model = create_model(path if path.suffix == ".toml" else str(text), **settings)
        return model, f"took the preset {path.stem}; {'; '.join(model.notes)}."
    return _loaded(path, "loaded {}", overrides)


def _loaded(path: Path, told: str, overrides: dict[str, Any]) -> tuple[VideoMamba, str]:
    """A checkpoint and the sentence about it."""
    model = load_checkpoint(path, **overrides)
    return model, "; ".join((told.format(path.name), *model.notes)) + "."
