"""The classes of the motion data set: two directions, taken in turn, and the order is the class.

A film of "left-then-up" shows left, up, left, up; "up-then-left" shows up, left, up, left. Played backwards,
the first is "down-then-right", and that class is made so: the same pictures in reverse order. So neither a
picture nor the heap of all pictures tells a class from its reversal, and only the order of the moves tells it
from its twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from vmexport.errors import UsageError

LEGS = 4
"""Moves of a film: each direction twice. Half a film thus still holds one move in each direction."""

DIRECTIONS = {
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
    "up-left": (-1.0, -1.0),
    "up-right": (1.0, -1.0),
    "down-left": (-1.0, 1.0),
    "down-right": (1.0, 1.0),
}
"""(x, y) of one move, y downwards. The diagonal ones are shortened to fit: see `LENGTH`."""

_TWINS = (("left", "up"), ("left", "down"), ("up-left", "up-right"), ("up-left", "down-left"))
"""Directions of the twins; each pair of twins brings its two reversals along."""

LENGTH = {"straight": 1.0, "diagonal": 0.5}
"""Length of a move along each axis, as a share of the step: two diagonal moves add up along one axis."""


@dataclass(frozen=True)
class Motion:
    """One class.

    Attributes:
        first: direction of the first move, a name of `DIRECTIONS`.
        second: direction of the second move.
        backwards: filmed as its reversal, the pictures then taken from the last to the first.
    """

    first: str
    second: str
    backwards: bool = False

    @property
    def name(self) -> str:
        """`left-then-up`."""
        return f"{self.first}-then-{self.second}"

    @property
    def text(self) -> str:
        """`left then up`, for a sentence."""
        return f"{self.first} then {self.second}"

    @property
    def reversal(self) -> Motion:
        """What this class looks like when it is played backwards."""
        return Motion(_OPPOSITE[self.second], _OPPOSITE[self.first], not self.backwards)

    def path(self, frames: int, turns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the shape is in each frame, in steps from the middle of the path's bounding box.

        Args:
            frames: number of frames `F`.
            turns: (LEGS - 1,) moments at which the direction changes, 0 to 1, ascending.

        Returns:
            (F, 2) float64, x and y.
        """
        if self.backwards:
            return self.reversal.path(frames, turns)[::-1]
        kind = "diagonal" if "-" in self.first else "straight"
        moves = np.array([DIRECTIONS[self.first], DIRECTIONS[self.second]] * (LEGS // 2)) * LENGTH[kind]
        corners = np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)])
        corners -= (corners.max(axis=0) + corners.min(axis=0)) / 2
        times, moments = np.linspace(0, 1, frames), np.array([0.0, *turns, 1.0])
        return np.stack([np.interp(times, moments, corners[:, axis]) for axis in range(2)], axis=1)


_OPPOSITE = {
    name: next(other for other, (u, v) in DIRECTIONS.items() if (u, v) == (-x, -y))
    for name, (x, y) in DIRECTIONS.items()
}


def _family(a: str, b: str) -> tuple[Motion, ...]:
    """Two twins, then the reversals of both."""
    twins = Motion(a, b), Motion(b, a)
    return (*twins, *(twin.reversal for twin in reversed(twins)))


MOTIONS = tuple(chain.from_iterable(_family(a, b) for a, b in _TWINS))
"""All classes. An even number of them from the front holds every twin, a multiple of four every reversal."""


def motions(classes: int) -> tuple[Motion, ...]:
    """Some classes, in order of their names, which is the order of their labels in every layout.

    Raises:
        UsageError: fewer than 2, or more than there are.
    """
    if not 2 <= classes <= len(MOTIONS):
        raise UsageError(
            f"there are no {classes} classes of motion", f"expected 2 to {len(MOTIONS)}", "--classes 8"
        )
    return tuple(sorted(MOTIONS[:classes], key=lambda motion: motion.name))
