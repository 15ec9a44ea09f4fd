"""The stream of training clips: which ones a step takes, and the processes that read them."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vmexport.config import Preprocessing
from vmexport.data import TrainingClips
from vmexport.errors import EnvironmentProblem, VmexportError
from vmexport.train.augment import Augmentation


def derived_seed(*numbers: int) -> int:
    """A seed out of several numbers, so that what is random depends on these alone."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass(frozen=True)
class Division:
    """How the clips of a step are divided.

    Attributes:
        videos: training videos.
        batch_size: clips of a step.
        accumulate: micro-batches a process and step.
        rank: this process.
        world: processes.
    """

    videos: int
    batch_size: int
    accumulate: int = 1
    rank: int = 0
    world: int = 1

    @property
    def micro_batch(self) -> int:
        """Clips that a process takes at once."""
        return self.batch_size // (self.accumulate * self.world)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch; the last one is filled up from the epoch's beginning."""
        return -(-self.videos // self.batch_size)

    def turns(self) -> tuple[int, ...]:
        """Numbers of this process's micro-batches within a step.

        Processes take turns: two of them see together what one sees with twice the accumulation.
        """
        return tuple(range(self.rank, self.accumulate * self.world, self.world))

    def micro_batches(self, epoch: int, first_step: int, seed: int) -> Iterator[list[int]]:
        """Positions of the videos of this process's micro-batches, from a step of an epoch to its end.

        Args:
            epoch: number, from 0.
            first_step: step within the epoch.
            seed: of the order of the videos.
        """
        order = np.random.default_rng(derived_seed(seed, epoch)).permutation(self.videos)
        filled = np.resize(order, self.steps_per_epoch * self.batch_size)
        for step, turn in itertools.product(range(first_step, self.steps_per_epoch), self.turns()):
            start = step * self.batch_size + turn * self.micro_batch
            yield filled[start : start + self.micro_batch].tolist()


class AugmentedClips(Dataset[Any]):
    """Training clips after augmentation.

    An error comes back as a value instead of being raised: worker processes would strip it of its form.

    Args:
        clips: the clips.
        augmentation: what changes them.
    """

    def __init__(self, clips: TrainingClips, augmentation: Augmentation) -> None:
        self.clips, self.augmentation = clips, augmentation

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, item: int) -> tuple[Tensor, int] | VmexportError:
        try:
            clip, label = self.clips[item]
            return self.augmentation(clip, derived_seed(self.clips.seed, self.clips.epoch, item)), label
        except VmexportError as error:
            return error


def _collate(items: Sequence[tuple[Tensor, int] | VmexportError]) -> tuple[Tensor, Tensor] | VmexportError:
    """Clips (B, 3, T, H, W) uint8 and labels (B) int64, or the first error."""
    good = []
    for item in items:
        if isinstance(item, VmexportError):
            return item
        good.append(item)
    return torch.stack([clip for clip, _ in good]), torch.tensor([label for _, label in good])


def stream(
    clips: AugmentedClips, division: Division, epoch: int, first_step: int, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's micro-batches of one epoch from a step on.

    Yields:
        uint8 clips `(B, 3, T, H, W)` and int64 labels `(B)`.

    Raises:
        InputError: too many videos in a row cannot be read.
        RuntimeError: a worker process died; PyTorch raises it wherever this process is just then.
    """
    clips.clips.set_epoch(epoch)
    loader = DataLoader(
        clips,
        batch_sampler=list(division.micro_batches(epoch, first_step, clips.clips.seed)),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_outlive_the_first_signal,
        pin_memory=torch.cuda.is_available(),
    )
    for batch in loader:
        if isinstance(batch, VmexportError):
            raise batch
        yield batch


def _outlive_the_first_signal(worker: int) -> None:
    """Signals reach the whole group of processes; one that reads must not die before the step's end.

    Where the run itself ends first, a clip on its way has nobody to go to: that is not worth a traceback.
    """
    sys.excepthook = _without_lost_connections
    received = []

    def handler(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGTERM and received.count(number) > 1:
            os._exit(1)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _without_lost_connections(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """As Python's own, save for connections that the other side closed."""
    if not issubclass(kind, ConnectionError):
        sys.__excepthook__(kind, error, trace)


def worker_died(error: Exception, workers: int) -> EnvironmentProblem | None:
    """What to do when a process that reads videos was killed; None for other errors."""
    if "DataLoader worker" not in str(error):
        return None
    return EnvironmentProblem(
        "a process that reads videos died",
        f"{str(error).splitlines()[0]}; the usual reason is that memory, or /dev/shm, ran out",
        f"use fewer of them: --workers {workers // 2}",
    )


class Normaliser:
    """Uint8 clips to what the model takes.

    Args:
        preprocessing: gives mean and deviation.
        device: where clips go.
    """

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        self.device = device
        shape = (1, 3, 1, 1, 1)
        self.mean = torch.tensor(preprocessing.mean, device=device).reshape(shape) * 255
        self.scale = 1 / (torch.tensor(preprocessing.std, device=device).reshape(shape) * 255)

    def __call__(self, clips: Tensor) -> Tensor:
        """Uint8 `(B, 3, T, H, W)` to float32 of the same shape, on the device."""
        return (clips.to(self.device, non_blocking=True).float() - self.mean) * self.scale
