"""Checkpoints in safetensors: the header, its metadata and the shapes that it claims.

python tests/fuzz/fuzz_safetensors.py [--seconds 600]
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from campaign import Mutator, Read, Target, main
from fuzz_sidecar import WORDS

LENGTH_BYTES = 8


def seeds(folder: Path) -> None:
    """One checkpoint of ours, and one with the tensors of OpenGVLab's layout."""
    import torch
    from safetensors.torch import save_file

    from vmexport.config import Architecture
    from vmexport.model import VideoMamba, save_checkpoint

    architecture = Architecture(
        d_model=4,
        depth=1,
        frames=2,
        size=16,
        patch_size=16,
        num_classes=2,
        d_state=1,
        directions=("forward",),
    )
    save_checkpoint(VideoMamba(architecture, seed=0), folder / "ours")
    shapes = {"patch_embed.proj.weight": (4, 3, 1, 16, 16), "cls_token": (1, 1, 4), "head.weight": (2, 4)}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / "foreign")


def reader() -> Read:
    """As every command loads a checkpoint."""
    from vmexport.model import load_checkpoint

    return load_checkpoint


def mutator() -> Mutator:
    """Every other time, the header alone is changed and its length put right."""
    import atheris

    def mutate(content: bytes, largest: int, seed: int) -> bytes:
        if random.Random(seed).random() < 0.5 and len(content) > LENGTH_BYTES:
            length = int.from_bytes(content[:LENGTH_BYTES], "little")
            end = min(LENGTH_BYTES + length, len(content))
            header = bytes(atheris.Mutate(content[LENGTH_BYTES:end] or b"{", end + 256))
            return (len(header).to_bytes(LENGTH_BYTES, "little") + header + content[end:])[:largest]
        return bytes(atheris.Mutate(content, largest))

    return mutate


USAGE = 2
HEADER_WORDS = ("__metadata__", "dtype", "shape", "data_offsets", "F32", "F16", "BF16", "I64", "F8_E4M3")
TARGET = Target("safetensors", "model.safetensors", seeds, reader, mutator, (*WORDS, *HEADER_WORDS))

if __name__ == "__main__":
    sys.exit(main(TARGET))
