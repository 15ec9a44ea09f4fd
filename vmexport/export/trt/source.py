"""What an engine is built from, where a user names a model or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmexport.config.names import ONNX_FILE, is_onnx
from vmexport.errors import UsageError

if TYPE_CHECKING:
    from vmexport.model import VideoMamba


def engine_source(
    model: Path | str | None, *, labels: Sequence[str] | None = None, **overrides: Any
) -> tuple[Path | VideoMamba, str]:
    """Find the ONNX file or the network that a user means.

    Args:
        model: an `.onnx` file, a checkpoint, a card, a preset's name, or None: then `model.onnx` in the
            working directory unless something is to be changed, or else what `resolve_model` takes.
        labels: class names in place of the model's.
        **overrides: as for `resolve_model`.

    Returns:
        The file or the network, for `build_engine`, and a sentence that says what was taken; empty where a
        file was named.

    Raises:
        UsageError: changes to an `.onnx` file, no such preset, or a setting that does not fit.
        InputError: the file is missing or not usable, or the labels are not one a class.
    """
    changes = bool(overrides) or labels is not None
    if model is None and not changes and Path(ONNX_FILE).is_file():
        return Path(ONNX_FILE), f"no model was named: took {ONNX_FILE} of this folder."
    if model is not None and is_onnx(model):
        if changes:
            raise UsageError(
                f"{model} cannot be changed any more",
                "frames, size, classes, labels and the like are settings of an export",
                "give the checkpoint in place of the .onnx file, or export again: vmexport onnx MODEL",
            )
        return Path(model), ""
    from vmexport.model import resolve_model

    return resolve_model(model, labels=labels, **overrides)
