"""Putting a finished model where the next command looks for it: `./model.safetensors`."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vmexport.config.metadata import PREFIX
from vmexport.files import atomic_write

MARK = "run"
"""Metadata entry that only models of training runs have: the folder of the run."""


def publish(model: Path, out: Path) -> tuple[Path | None, tuple[str, ...]]:
    """Copy a model into the working directory, unless someone else's is there.

    Only a `model.safetensors` that came out of a training run is replaced.

    Args:
        model: the model of a run, with the metadata entry `MARK`.
        out: the run's folder.

    Returns:
        The copy, or None; and a sentence that says why.

    Raises:
        InputError: the working directory is not writable.
        BuildError: the disk is full.
    """
    target = Path(model.name)
    if out.resolve() == Path.cwd():
        return target, ()
    if target.exists() and not _from_training(target):
        return None, (
            f"{target} of this folder was not written by a training run, so it was left alone; "
            f"name the new model: vmexport onnx {model}",
        )
    with atomic_write(target) as temporary:
        shutil.copyfile(model, temporary)
    return target, ()


def _from_training(path: Path) -> bool:
    """Whether a file is a model that a training run wrote."""
    try:
        with safe_open(path, framework="numpy") as file:
            return PREFIX + MARK in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False
