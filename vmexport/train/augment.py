"""Augmentation of one training clip: RandAugment, horizontal flip, random erasing; every frame alike.

It runs where clips are read, in worker processes, one clip at a time, so each clip draws its own operations.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vmexport.train.recipe import Recipe

ERASED = 0.45
"""Grey of erased rectangles, 0 to 1: about the mean of natural pictures."""


class Augmentation:
    """A random change of a clip.

    Args:
        recipe: operations and chances.
        directional: labels depend on left and right, so nothing is flipped.
    """

    def __init__(self, recipe: Recipe, directional: bool) -> None:
        self.flip = 0.0 if directional else recipe.flip
        self.operations = _randaugment(recipe.randaugment_ops, recipe.randaugment_magnitude)
        self.erase = _erasing(recipe.erasing)

    @property
    def idle(self) -> bool:
        """Whether clips leave as they come."""
        return self.operations is None and self.erase is None and self.flip == 0

    def __call__(self, clip: Tensor, seed: int) -> Tensor:
        """Change a clip.

        Args:
            clip: uint8 `(3, T, H, W)`.
            seed: of everything random about it.

        Returns:
            uint8 `(3, T, H, W)`.
        """
        if self.idle:
            return clip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.flip and torch.rand(()).item() < self.flip:
                clip = clip.flip(-1)
            if self.operations is None and self.erase is None:
                return clip
            frames = clip.float() / 255
            if self.operations is not None:
                frames = self.operations(frames.unsqueeze(0)).squeeze(0)
            if self.erase is not None:
                frames = self.erase(frames.transpose(0, 1)).transpose(0, 1)  # frames as the batch
            return (frames * 255).round_().clamp_(0, 255).to(torch.uint8)


def _randaugment(operations: int, magnitude: int) -> Callable[[Tensor], Tensor] | None:
    """RandAugment (Cubuk et al., 2020): some of these operations, each at the given strength.

    kornia's own `RandAugment` cannot treat the frames of a clip alike; its `VideoSequential` can.
    """
    if operations == 0 or magnitude == 0:
        return None
    import kornia.augmentation as kornia

    m = magnitude / 10
    change = (1 - 0.9 * m, 1 + 0.9 * m)
    bits = 8 - round(4 * m)
    result: Callable[[Tensor], Tensor] = kornia.VideoSequential(
        kornia.RandomAutoContrast(p=1.0),
        kornia.RandomEqualize(p=1.0),
        kornia.RandomInvert(p=1.0),
        kornia.RandomRotation(30 * m, p=1.0),
        kornia.RandomPosterize((bits, bits), p=1.0),
        kornia.RandomSolarize((max(0.0, 0.5 - 0.5 * m), max(0.0, 0.5 - 0.5 * m)), additions=0.0, p=1.0),
        kornia.RandomSaturation(change, p=1.0),
        kornia.RandomContrast(change, p=1.0),
        kornia.RandomBrightness(change, p=1.0),
        kornia.RandomSharpness(m, p=1.0),
        kornia.RandomShear((-17.2 * m, 17.2 * m), p=1.0),
        kornia.RandomTranslate((-0.3 * m, 0.3 * m), (-0.3 * m, 0.3 * m), p=1.0),
        random_apply=operations,
        same_on_frame=True,
        data_format="BCTHW",
    )
    return result


def _erasing(chance: float) -> Callable[[Tensor], Tensor] | None:
    """Random erasing (Zhong et al., 2020): one rectangle, in all frames."""
    if chance == 0:
        return None
    import kornia.augmentation as kornia

    result: Callable[[Tensor], Tensor] = kornia.RandomErasing(p=chance, value=ERASED, same_on_batch=True)
    return result
