"""Random parts of a video for training: which frames, and which rectangle of them (paper section 5.1).

Pure functions over numbers; nothing here opens a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmexport.config import Preprocessing
from vmexport.config.choices import Sampling
from vmexport.config.settings import check_settings
from vmexport.errors import UsageError

ATTEMPTS = 10
"""Random rectangles tried before the largest one that fits is taken."""


@dataclass(frozen=True)
class Cropping:
    """Random resized crops of training clips; one rectangle for all frames of a clip.

    Attributes:
        area: smallest and largest share of the picture that a crop covers.
        aspect: smallest and largest width / height of the crop before it is resized to a square.
    """

    area: tuple[float, float] = (0.25, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        object.__setattr__(self, "area", tuple(self.area))
        object.__setattr__(self, "aspect", tuple(self.aspect))
        if not (len(self.area) == 2 and 0.01 <= self.area[0] <= self.area[1] <= 1):
            raise UsageError(
                "the crops' area is out of range",
                f"expected 0.01 <= smallest <= largest <= 1, got {self.area}",
                "for example area = [0.25, 1.0]",
            )
        if not (len(self.aspect) == 2 and 0.1 <= self.aspect[0] <= self.aspect[1] <= 10):
            raise UsageError(
                "the crops' aspect is out of range",
                f"expected 0.1 <= smallest <= largest <= 10, got {self.aspect}",
                "for example aspect = [0.75, 1.3333]",
            )

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON and TOML can hold."""
        return {name: list(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cropping:
        """The reverse of `to_dict`.

        Raises:
            UsageError: an unknown name, or a value out of range or of another type.
        """
        check_settings("cropping", cls(), values)
        return cls(**dict(values))


@dataclass(frozen=True)
class Rectangle:
    """A part of a picture, in pixels of the source; not rounded."""

    top: float
    left: float
    height: float
    width: float


def random_indices(
    total: int, frames: int, preprocessing: Preprocessing, random: np.random.Generator
) -> NDArray[np.int64]:
    """Frame indices of one training clip.

    Dense: `frames` frames, a stride apart, from a random start; a video shorter than the clip's span starts
    at its first frame and repeats its last, as `vmexport.video.sampling` does. Uniform: a random frame of
    each of `frames` equal segments of the whole video.

    Args:
        total: frames of the video, at least 1.
        frames: frames `T` of a clip.
        preprocessing: gives sampling and stride.
        random: source of what is random.

    Returns:
        (frames,) int64, ascending, within 0 .. total - 1.
    """
    if preprocessing.sampling == Sampling.UNIFORM:
        ends = np.rint(np.arange(frames + 1) * ((total - 1) / frames)).astype(np.int64)
        return np.asarray(random.integers(ends[:-1], ends[1:], endpoint=True), dtype=np.int64)
    stride = preprocessing.stride
    room = max(0, total - ((frames - 1) * stride + 1))
    start = int(random.integers(room + 1))
    indices: NDArray[np.int64] = start + np.arange(frames, dtype=np.int64) * stride
    return np.minimum(indices, total - 1, out=indices)


def random_rectangle(height: int, width: int, cropping: Cropping, random: np.random.Generator) -> Rectangle:
    """A random rectangle of a picture; area uniform, aspect uniform in its logarithm.

    Where no attempt fits into the picture, the largest centred rectangle of an allowed aspect.
    """
    low, high = (math.log(aspect) for aspect in cropping.aspect)
    for _ in range(ATTEMPTS):
        area = height * width * random.uniform(*cropping.area)
        aspect = math.exp(random.uniform(low, high))
        crop_height, crop_width = math.sqrt(area / aspect), math.sqrt(area * aspect)
        if crop_height <= height and crop_width <= width:
            top, left = random.uniform(0, height - crop_height), random.uniform(0, width - crop_width)
            return Rectangle(top, left, crop_height, crop_width)
    aspect = min(max(width / height, cropping.aspect[0]), cropping.aspect[1])
    crop_width, crop_height = min(width, height * aspect), min(height, width / aspect)
    return Rectangle((height - crop_height) / 2, (width - crop_width) / 2, crop_height, crop_width)
