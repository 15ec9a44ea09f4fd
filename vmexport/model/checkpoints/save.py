"""Writing `model.safetensors`: weights, and metadata that say all that is needed to rebuild the model."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from vmexport.files import atomic_write
from vmexport.model.network import VideoMamba


def save_checkpoint(model: VideoMamba, path: Path | str) -> Path:
    """Write a model's weights and its `info` as safetensors; a previous file is replaced only when all went
    well.

    Args:
        model: the model.
        path: the target, by custom `model.safetensors`.

    Returns:
        The path written.

    Raises:
        InputError: the folder is missing or not writable.
        BuildError: the disk is full.
    """
    return write_tensors(model.state_dict(), path, model.info.to_metadata())


def write_tensors(tensors: Mapping[str, Tensor], path: Path | str, metadata: Mapping[str, str]) -> Path:
    """Write tensors and text entries as safetensors, whole or not at all.

    Args:
        tensors: by name, on any device.
        path: the target.
        metadata: text entries.

    Returns:
        The path written.

    Raises:
        InputError: the folder is missing or not writable.
        BuildError: the disk is full.
    """
    on_host = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        try:
            save_file(on_host, temporary, metadata=dict(metadata))
        except SafetensorError as error:
            raise _as_os_error(error) from error
    return Path(path)


def _as_os_error(error: SafetensorError) -> OSError:
    """The system's error behind one of safetensors, which keeps it only in words."""
    full = "os error 28" in str(error) or "StorageFull" in str(error) or "No space left" in str(error)
    return OSError(errno.ENOSPC if full else errno.EIO, str(error))
