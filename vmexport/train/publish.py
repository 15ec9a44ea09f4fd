"""Putting a finished model where the next command looks for it: `./model.safetensors`."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors import SafetensorError

from vmexport.config.metadata import PREFIX
from vmexport.errors import BuildError, InputError
from vmexport.files import atomic_write
from vmexport.model.checkpoints.tensors import open_tensors

MARK = "run"
"""Metadata entry that only models of training runs have: the folder of the run."""


def publish(model: Path, out: Path) -> tuple[Path | None, tuple[str, ...]]:
    """Copy a model into the working directory, unless someone else's is there or it cannot be written to.

    Only a `model.safetensors` that came out of a training run is replaced. A copy that fails costs nothing:
    the model itself is in the run's folder.

    Args:
        model: the model of a run, with the metadata entry `MARK`.
        out: the run's folder.

    Returns:
        The copy, or None; and a sentence that says why.
    """
    target = Path(model.name)
    if out.resolve() == Path.cwd():
        return target, ()
    if target.exists() and not _from_training(target):
        return None, (
            f"{target} of this folder was not written by a training run, so it was left alone; "
            f"name the new model: vmexport onnx {model}",
        )
    try:
        with atomic_write(target) as temporary:
            shutil.copyfile(model, temporary)
    except (InputError, BuildError) as error:
        return None, (f"no copy of {model} was put into this folder: {error.what}, {error.why}",)
    return target, ()


def _from_training(path: Path) -> bool:
    """Whether a file is a model that a training run wrote."""
    try:
        with open_tensors(path, "numpy") as file:
            return PREFIX + MARK in (file.metadata() or {})
    except (SafetensorError, InputError, OSError):
        return False
