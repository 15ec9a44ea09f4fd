"""Accuracy on the validation videos during training, one view each; `vmexport eval` does more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from vmexport.config import Preprocessing
from vmexport.data import EvaluationClips, VideoIndex, VideoViews
from vmexport.model import VideoMamba


@dataclass(frozen=True)
class Tally:
    """Sums over validation videos.

    Attributes:
        videos: videos counted.
        correct: those whose most probable class is their own.
        loss_sum: sum of their cross entropies.
        skipped: unreadable ones, not counted.
    """

    videos: int
    correct: int
    loss_sum: float
    skipped: int

    def to_tensor(self, device: torch.device) -> Tensor:
        """The four sums, float64, to be added up over processes."""
        return torch.tensor(
            [self.videos, self.correct, self.loss_sum, self.skipped], dtype=torch.float64, device=device
        )


@torch.no_grad()
def tally(
    model: VideoMamba,
    videos: VideoIndex,
    preprocessing: Preprocessing,
    batch: int,
    workers: int,
    precision: torch.autocast,
) -> Tally:
    """Classify one view of each video.

    Args:
        model: it is put into evaluation mode and back.
        videos: this process's share of them.
        preprocessing: frames to floats.
        batch: videos at once.
        workers: threads that read videos.
        precision: context in which the model runs.
    """
    clips = EvaluationClips(videos, model.architecture, preprocessing, "1x1")
    device = model.head.weight.device
    was_training = model.training
    model.eval()
    seen = correct = skipped = 0
    loss_sum = 0.0
    try:
        for group in _groups(clips.load(workers, on_bad="skip"), batch):
            good = [(video.views, video.label) for video in group if video.views is not None]
            skipped += len(group) - len(good)
            if not good:
                continue
            views = torch.from_numpy(np.concatenate([one for one, _ in good]))
            labels = torch.tensor([label for _, label in good], device=device)
            with precision:
                logits = model(views.to(device))
            loss_sum += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            correct += int((logits.argmax(dim=1) == labels).sum())
            seen += len(good)
    finally:
        model.train(was_training)
    return Tally(seen, correct, loss_sum, skipped)


def share(videos: VideoIndex, rank: int, world: int) -> VideoIndex:
    """Every `world`-th video: each belongs to exactly one process."""
    return replace(videos, samples=videos.samples[rank::world])


def _groups(videos: Iterator[VideoViews], size: int) -> Iterator[list[VideoViews]]:
    """Lists of up to `size` videos."""
    group: list[VideoViews] = []
    for video in videos:
        group.append(video)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
