"""How frames become the float tensor that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vmexport.config.choices import Sampling
from vmexport.config.settings import check_settings
from vmexport.errors import UsageError

LARGEST_STRIDE = 1_000_000
"""Frames between two sampled ones."""
LARGEST_SIDE = 16_384
"""Pixels of the shorter side after resizing."""


SMALLEST_STD, LARGEST_COLOUR = 1e-3, 10.0
"""Smaller deviations (frames in 0 to 255 have 1/255) drown the weights, larger ones blacken every frame."""


@dataclass(frozen=True)
class Preprocessing:
    """Clip sampling and normalisation.

    Attributes:
        sampling: which frames a clip is made of: "dense" ones, `stride` apart (paper section 5.1; SlowFast),
            or "uniform" over the whole video, one of each of as many equal segments as the clip has frames
            (TSN; all of OpenGVLab's VideoMamba recipes).
        stride: frames of the source between two sampled ones; dense sampling only.
        resize: the shorter side after resizing, in pixels; 0 stands for the model's size.
        mean: per channel, in the range 0 to 1 (RGB; ImageNet).
        std: per channel, in the range 0 to 1.
    """

    sampling: str = Sampling.DENSE.value
    stride: int = 2
    resize: int = 0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))
        if self.sampling not in Sampling.all():
            raise UsageError(
                f"unknown sampling of frames: {self.sampling!r}",
                f"expected {' or '.join(Sampling.all())}",
                "for example preprocessing.sampling=uniform",
            )
        colours = (*self.mean, *self.std)
        if (
            not 1 <= self.stride <= LARGEST_STRIDE
            or not 0 <= self.resize <= LARGEST_SIDE
            or len(self.mean) != 3
            or len(self.std) != 3
            or not all(math.isfinite(value) for value in colours)
            or max(abs(value) for value in self.mean) > LARGEST_COLOUR
            or not SMALLEST_STD <= min(self.std) <= max(self.std) <= LARGEST_COLOUR
        ):
            raise UsageError(
                "preprocessing settings are out of range",
                f"expected stride 1 to {LARGEST_STRIDE}, resize 0 to {LARGEST_SIDE}, three means up to "
                f"{LARGEST_COLOUR:g} and deviations of {SMALLEST_STD} to {LARGEST_COLOUR:g}, got {self}",
                "for example preprocessing.stride=2",
            )

    @property
    def frames_taken(self) -> str:
        """Which frames a clip is made of, in words."""
        if self.sampling == Sampling.UNIFORM:
            return "uniform over the whole video"
        return f"dense, every {self.stride} frames" if self.stride > 1 else "dense, every frame"

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON and TOML can hold."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The reverse of `to_dict`.

        Raises:
            UsageError: an unknown name, or a value out of range or of another type.
        """
        check_settings("preprocessing", cls(), values)
        return cls(**dict(values))
