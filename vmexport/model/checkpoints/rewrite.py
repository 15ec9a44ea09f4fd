"""`convert_checkpoint`: from any checkpoint that loads to one `.safetensors` file of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vmexport.config import Architecture
from vmexport.config.names import WEIGHTS_FILE
from vmexport.errors import UsageError
from vmexport.model.checkpoints.load import load_checkpoint
from vmexport.model.checkpoints.save import save_checkpoint

SUFFIX = Path(WEIGHTS_FILE).suffix


@dataclass(frozen=True)
class ConversionReport:
    """A converted checkpoint.

    Attributes:
        path: the file written.
        size_bytes: its size.
        architecture: of the model in it.
        labels: number of class names that it carries; 0 where they are unknown.
        notes: what was taken for granted or changed, in sentences.
    """

    path: Path
    size_bytes: int
    architecture: Architecture
    labels: int
    notes: tuple[str, ...]


def convert_checkpoint(
    checkpoint: Path | str,
    path: Path | str = WEIGHTS_FILE,
    *,
    labels: Sequence[str] | None = None,
    **loading: Any,
) -> ConversionReport:
    """Write a checkpoint as safetensors, with all that is needed to use it in its metadata.

    Args:
        checkpoint: a `.pth` of VideoMamba or Vim, or a `.safetensors` file.
        path: the file to write; an existing one is replaced only when all went well.
        labels: class names, in class order; None keeps those of the checkpoint.
        **loading: arguments of `load_checkpoint`, such as `frames=8` or `trust_pickle=True`.

    Raises:
        UsageError: a name that does not end in `.safetensors`, or a setting that does not fit.
        InputError: the checkpoint or the place cannot be used, or the labels are not one a class.
        BuildError: the disk is full.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        fix = f"-o {path.with_suffix(SUFFIX)}"
        raise UsageError(f"cannot write {path}", f"what convert writes ends in {SUFFIX}", fix)
    model = load_checkpoint(checkpoint, **loading)
    if labels is not None:
        model.info = replace(model.info, labels=tuple(labels))
    written = save_checkpoint(model, path)
    return ConversionReport(
        written, written.stat().st_size, model.architecture, len(model.info.labels), tuple(model.notes)
    )
