"""Writing `model.safetensors`: weights, and metadata that say all that is needed to rebuild the model."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

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
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata=model.info.to_metadata())
    return Path(path)
