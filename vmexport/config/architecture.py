"""The architecture of a VideoMamba: every size and every choice of section 4 of the paper, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from vmexport.config.budget import LARGEST_NUMBER, check_budget
from vmexport.config.choices import ClsPosition
from vmexport.config.settings import check_settings
from vmexport.errors import UsageError

SCAN_ORDERS = ("forward", "spatiotemporal", "spatial", "temporal")
"""Names of the scan orders; the position is the integer that the operator's `directions` uses."""

CLS_POSITIONS = ClsPosition.all()
POSITION_EMBEDDINGS = ("none", "sinusoidal", "learned", "separate")
NORMS = ("rms", "layer")


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes the shapes and the function of a VideoMamba.

    Letters: `T` frames, `n_t n_h n_w` tubelet grid, `L` tokens, `d` width, `D` inner width, `N` state
    size, `R` rank of delta, `K` convolution taps, `S` scan directions.

    Attributes:
        d_model: width `d`.
        depth: number of blocks.
        frames: frames `T` of one clip; an image model has 1.
        size: height and width of a frame in pixels.
        num_classes: outputs of the head.
        patch_size: height and width of a tubelet in pixels.
        tubelet: frames of a tubelet.
        in_channels: colour channels.
        d_state: state size `N`.
        d_conv: convolution taps `K`.
        expand: `D / d`.
        dt_rank: rank `R` of delta; 0 stands for `ceil(d / 16)`.
        directions: scan order of each direction, names out of `SCAN_ORDERS`.
        cls_position: where the class token stands among the tokens (`CLS_POSITIONS`); without one the
            read-out is the mean over tokens.
        position: kind of positional embedding (`POSITION_EMBEDDINGS`, paper section 4.2); "separate" is
            OpenGVLab's pair of a space and a time embedding.
        position_on_cls: the learned embedding has an entry for the class token.
        norm: "rms" or "layer".
        norm_eps: epsilon of the norms.
        scale: factor on the sum of the directions (1.0; Vim's "div2" is 0.5).

    Raises:
        UsageError: a value is out of range, two values do not fit together, or the network is beyond every
            budget (`vmexport.config.budget`).
    """

    d_model: int = 384
    depth: int = 24
    frames: int = 16
    size: int = 224
    num_classes: int = 400
    patch_size: int = 16
    tubelet: int = 2
    in_channels: int = 3
    d_state: int = 16
    d_conv: int = 4
    expand: int = 2
    dt_rank: int = 0
    directions: tuple[str, ...] = ("forward", "spatiotemporal")
    cls_position: str = "first"
    position: str = "learned"
    position_on_cls: bool = False
    norm: str = "rms"
    norm_eps: float = 1e-5
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "directions", tuple(self.directions))
        _check(self)

    @property
    def d_inner(self) -> int:
        """Inner width `D`."""
        return self.expand * self.d_model

    @property
    def rank(self) -> int:
        """Rank `R` of delta."""
        return self.dt_rank or math.ceil(self.d_model / 16)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubelet grid `(n_t, n_h, n_w)`."""
        side = self.size // self.patch_size
        return self.frames // self.tubelet, side, side

    @property
    def tokens_per_frame(self) -> int:
        """Tokens of one tubelet layer, `n_h * n_w`."""
        return self.grid[1] * self.grid[2]

    @property
    def patches(self) -> int:
        """Patch tokens, `n_t * n_h * n_w`."""
        return self.grid[0] * self.tokens_per_frame

    @property
    def has_cls(self) -> bool:
        """Whether there is a class token."""
        return self.cls_position != "none"

    @property
    def tokens(self) -> int:
        """Tokens `L`, the class token included."""
        return self.patches + int(self.has_cls)

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """Shape `(3, T, H, W)` of one clip."""
        return self.in_channels, self.frames, self.size, self.size

    def with_overrides(self, **overrides: Any) -> Architecture:
        """A copy with some values replaced.

        Raises:
            UsageError: a name that is no attribute, or a value that does not fit.
        """
        check_settings("architecture", Architecture(), overrides)
        return replace(self, **overrides)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON and TOML can hold."""
        return {**asdict(self), "directions": list(self.directions)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """The reverse of `to_dict`; unknown names are refused.

        Raises:
            UsageError: an unknown name or a value that does not fit.
        """
        return cls().with_overrides(**dict(values))


def _check(a: Architecture) -> None:
    """Refuse values that no model can have, each with expected and got."""
    for name in ("d_model", "depth", "frames", "size", "num_classes", "patch_size", "tubelet", "in_channels",
                 "d_state", "d_conv", "expand"):  # fmt: skip
        value = getattr(a, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{name} must be a whole number of at least 1", f"got {value!r}")
        if value > LARGEST_NUMBER:
            raise UsageError(
                f"{name} is too large", f"at most {LARGEST_NUMBER}, got a number of {value.bit_length()} bits"
            )
    for name in ("norm_eps", "scale"):
        value = getattr(a, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise UsageError(f"{name} must be a finite number", f"got {value!r}")
    if not 0 <= a.dt_rank <= LARGEST_NUMBER:
        raise UsageError(
            "dt_rank must be 0 (automatic) or positive",
            f"at most {LARGEST_NUMBER}, got {a.dt_rank if a.dt_rank < 0 else 'more'}",
        )
    for name, allowed in (
        ("cls_position", CLS_POSITIONS),
        ("position", POSITION_EMBEDDINGS),
        ("norm", NORMS),
    ):
        if getattr(a, name) not in allowed:
            raise UsageError(f"unknown {name}: {getattr(a, name)!r}", f"expected one of {', '.join(allowed)}")
    if not a.directions or any(order not in SCAN_ORDERS for order in a.directions):
        raise UsageError(
            f"unknown scan order in directions: {list(a.directions)}",
            f"expected some of {', '.join(SCAN_ORDERS)}",
        )
    _check_divides(a.frames, a.tubelet, "frames", "tubelet")
    _check_divides(a.size, a.patch_size, "size", "patch_size")
    if a.cls_position == "middle" and not {"spatial", "temporal"}.isdisjoint(a.directions):
        raise UsageError(
            "a class token in the middle has no place in a spatial or temporal order",
            f"cls_position='middle' with directions {list(a.directions)}",
            "use cls_position='first', or the spatiotemporal order",
        )
    check_budget(a)


def _check_divides(total: int, part: int, total_name: str, part_name: str) -> None:
    """`total` must be a multiple of `part`."""
    if total % part:
        raise UsageError(
            f"{total_name} must be a multiple of {part_name}",
            f"{total_name} is {total}, {part_name} is {part}",
            f"use {total_name}={max(part, round(total / part) * part)}",
        )
