"""The training recipe: every number of section 5.1 of the paper, and what it leaves open, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vmexport.config.settings import check_settings
from vmexport.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. Defaults: the paper's for Kinetics-400 (section 5.1).

    What the paper names without a number (label smoothing, RandAugment, random erasing) has the value that
    its authors of these methods, or video transformers after them, use; so has what it leaves open (weight
    decay, drop path, clipping).

    Attributes:
        epochs: passes over the training videos.
        minimum_steps: a small data set gets as many epochs as make this many steps, unless the caller says
            how many epochs; 0: `epochs` holds for every data set.
        batch_size: clips of one optimiser step, over all processes and accumulated micro-batches together.
        accumulate: micro-batches a process sums the gradients of before it takes a step.
        learning_rate: at the end of the warm-up.
        minimum_rate: at the start of the warm-up and at the end of the cosine.
        warmup_epochs: length of the linear warm-up; may be a fraction.
        weight_decay: AdamW's; not on norms, biases, `A_log`, `D`, class token and positional embeddings.
        betas: AdamW's.
        clip_norm: largest norm of all gradients together; 0: no limit.
        label_smoothing: share of the probability that is spread over all classes.
        drop_path: chance that the last block's output is dropped, growing linearly from 0 at the first one.
        randaugment_ops: operations a clip, the same for all its frames; 0: none.
        randaugment_magnitude: their strength, 0 to 10.
        erasing: chance that a rectangle of the clip is erased.
        flip: chance of a horizontal flip; never where labels are directional.
        ema: decay of the weights' moving average a step, which is then what is validated and kept; 0: none.
        checkpoint_activations: recompute each block in the backward pass instead of keeping its activations.
        validate_every: epochs between two validations; the last epoch always validates.
        seed: of the initial weights, the order of videos, and everything random on the way.

    Raises:
        UsageError: a value is out of range.
    """

    epochs: int = 30
    minimum_steps: int = 0
    batch_size: int = 64
    accumulate: int = 1
    learning_rate: float = 3e-4
    minimum_rate: float = 1e-6
    warmup_epochs: float = 1.0
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = 1.0
    label_smoothing: float = 0.1
    drop_path: float = 0.1
    randaugment_ops: int = 2
    randaugment_magnitude: int = 9
    erasing: float = 0.25
    flip: float = 0.5
    ema: float = 0.0
    checkpoint_activations: bool = False
    validate_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        for name, (least, most) in _WHOLE.items():
            _check_whole(name, getattr(self, name), least, most)
        for name, (low, high) in _REAL.items():
            _check_real(name, getattr(self, name), low, high)
        if not isinstance(self.checkpoint_activations, bool):
            raise UsageError("checkpoint_activations must be true or false")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError("betas must be two numbers from 0 to below 1", f"got {self.betas}")
        if self.minimum_rate > self.learning_rate:
            raise UsageError(
                "minimum_rate is above learning_rate",
                f"{self.minimum_rate:g} > {self.learning_rate:g}",
                f"--set recipe.minimum_rate={self.learning_rate / 100:g}",
            )

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON and TOML can hold."""
        return {**asdict(self), "betas": list(self.betas)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The reverse of `to_dict`.

        Raises:
            UsageError: an unknown name, or a value out of range or of another type.
        """
        check_settings("recipe", cls(), values)
        return cls(**dict(values))


_WHOLE = {
    "epochs": (1, 100_000),
    "minimum_steps": (0, 1_000_000_000),
    "batch_size": (1, 1_000_000),
    "accumulate": (1, 1_000_000),
    "randaugment_ops": (0, 10),
    "randaugment_magnitude": (0, 10),
    "validate_every": (1, 100_000),
    "seed": (0, 2**63 - 1),
}
_REAL = {
    "learning_rate": (1e-12, 100.0),
    "minimum_rate": (0.0, 100.0),
    "warmup_epochs": (0.0, 100_000.0),
    "weight_decay": (0.0, 100.0),
    "clip_norm": (0.0, math.inf),
    "label_smoothing": (0.0, 0.99),
    "drop_path": (0.0, 0.99),
    "erasing": (0.0, 1.0),
    "flip": (0.0, 1.0),
    "ema": (0.0, 0.999999),
}


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    """A whole number within limits."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{name} must be a whole number from {low} to {high}", f"got {value!r}")


def _check_real(name: str, value: object, low: float, high: float) -> None:
    """A number within limits; NaN is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{name} must be a number from {low:g} to {high:g}", f"got {value!r}")
