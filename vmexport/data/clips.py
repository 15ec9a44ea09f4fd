"""Random clips of a data set for training, as a PyTorch data set."""

from __future__ import annotations

import gc
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vmexport.config import Architecture, Preprocessing
from vmexport.data.index import VideoIndex
from vmexport.data.sampling import Cropping, Rectangle, random_indices, random_rectangle
from vmexport.errors import InputError
from vmexport.video import FrameReader
from vmexport.video.transform import check_long_side

REPLACEMENTS = 20
"""Other videos tried in place of an unreadable one before training gives up."""

_log = logging.getLogger(__name__)

# A decoder that waits for the garbage collector keeps its threads until then. Worker processes are forked
# without them, and one that collects such a decoder waits for its threads for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gc.collect)


@dataclass(frozen=True)
class Replaced:
    """A video that could not be read.

    Attributes:
        path: the file.
        times: how often another one took its place.
    """

    path: Path
    times: int


class TrainingClips(Dataset[tuple[Tensor, int]]):
    """A random clip of each video: random start, random crop; augmentation beyond that is the trainer's.

    Item `i` is `(clip, label)`: uint8 `(3, T, size, size)`, RGB, and an int. All that is random about it
    follows from (seed, epoch, i) alone: neither the number of workers nor an interruption changes it.

    An unreadable file is replaced by a random other video, label included; `replaced` counts, in the main
    process too when workers read.

    Args:
        index: the training split.
        architecture: gives `T` and the size of a frame.
        preprocessing: gives sampling and stride; mean and std are not applied here.
        cropping: the random crops.
        seed: of everything random.

    Raises:
        InputError: the model does not take RGB; from an item: `REPLACEMENTS` files in a row are unreadable.
    """

    def __init__(
        self,
        index: VideoIndex,
        architecture: Architecture,
        preprocessing: Preprocessing | None = None,
        cropping: Cropping | None = None,
        *,
        seed: int = 0,
    ) -> None:
        if architecture.in_channels != 3:
            raise InputError(
                "the model does not take RGB frames", f"it has {architecture.in_channels} input channels"
            )
        self.index, self.architecture, self.seed = index, architecture, seed
        self.preprocessing, self.cropping = preprocessing or Preprocessing(), cropping or Cropping()
        # In shared memory, so that workers that live for several epochs see and report what changes.
        self._epoch = _shared(1)
        self._failures = _shared(max(1, len(index)))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def epoch(self) -> int:
        """The epoch whose clips are given."""
        return int(self._epoch[0])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, before a data loader is iterated; running workers see it too."""
        self._epoch[0] = epoch

    @property
    def replaced(self) -> tuple[Replaced, ...]:
        """The unreadable files met so far, by this process and by workers that it started."""
        failed = torch.nonzero(self._failures).flatten().tolist()
        return tuple(Replaced(self.index.samples[i].path, int(self._failures[i])) for i in failed)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        random = np.random.default_rng([self.seed, self.epoch, item])
        chosen = item
        for _ in range(REPLACEMENTS + 1):
            sample = self.index.samples[chosen]
            try:
                return torch.from_numpy(self._clip(sample.path, random)), sample.label
            except InputError as error:
                self._failures[chosen] += 1
                _log.info("%s; another video takes its place", " ".join(str(error).split()))
                last = error
            others = max(1, len(self.index) - 1)
            chosen = (chosen + 1 + int(random.integers(others))) % len(self.index)
        raise InputError(
            f"{REPLACEMENTS + 1} videos in a row could not be read",
            f"the last one: {last.what}{f' ({last.why})' if last.why else ''}",
            f"vmexport data check {self.index.root}",
        )

    def _clip(self, path: Path, random: np.random.Generator) -> NDArray[np.uint8]:
        """Decode one random clip: (3, T, size, size)."""
        a = self.architecture
        with FrameReader(path) as reader:
            info = reader.info
            indices = random_indices(info.frames, a.frames, self.preprocessing, random)
            part = random_rectangle(info.height, info.width, self.cropping, random)
            frames = _read_part(reader, indices, part, a.size)
        return np.ascontiguousarray(frames.transpose(3, 0, 1, 2))


def _shared(length: int) -> Tensor:
    """Zeros, int64, in memory that worker processes share."""
    counts: Tensor = torch.zeros(length, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
    return counts


def _read_part(
    reader: FrameReader, indices: NDArray[np.int64], part: Rectangle, size: int
) -> NDArray[np.uint8]:
    """The part of the frames, resized to a square, (T, size, size, 3).

    The whole picture is resized such that the part becomes `size` pixels high and wide: one filter does all.
    """
    info = reader.info
    height = max(size, round(info.height * size / part.height))
    width = max(size, round(info.width * size / part.width))
    check_long_side(info.height, info.width, max(height, width), size)
    top = min(round(part.top * height / info.height), height - size)
    left = min(round(part.left * width / info.width), width - size)
    return reader.read(indices, (height, width))[:, top : top + size, left : left + size]
