"""How a stored picture must be turned for display: the display matrix of phones and cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a rectangle on its sides.

    Attributes:
        transpose: rows become columns, done first.
        flip_x: left and right swap, after transposing.
        flip_y: top and bottom swap, after transposing.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether writing would read backwards without it."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Clockwise turn in degrees; where mirrored, the turn that follows swapping left and right."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Displayed (height, width) of a stored picture; also the reverse."""
        return (width, height) if self.transpose else (height, width)

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a stored picture (H, W, 3) for display; a view, nothing is copied."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        return picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read the display matrix that FFmpeg attached to a decoded frame.

    The matrix maps a stored point (x, y), y downwards, to (a x + c y, b x + d y), with a, b, c, d at places
    0, 1, 3, 4 of nine int32. Slanted angles are taken to the nearest right angle, as players do.
    """
    try:
        side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV refuses the whole list when FFmpeg attached a kind that it does not know
        return _from_angle(frame.rotation)
    if side_data is None:
        return Orientation()
    matrix = np.frombuffer(bytes(side_data), dtype=np.int32)
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return Orientation(flip_x=a < 0, flip_y=d < 0)


def _from_angle(degrees: int) -> Orientation:
    """The nearest quarter turn to an angle counted anticlockwise."""
    turns = round(degrees / 90) % 4
    return (
        Orientation(),
        Orientation(transpose=True, flip_y=True),
        Orientation(flip_x=True, flip_y=True),
        Orientation(transpose=True, flip_x=True),
    )[turns]
