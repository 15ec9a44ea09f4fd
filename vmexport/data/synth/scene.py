"""One film of the motion data set: a textured shape that moves on a textured ground that drifts.

The picture wraps around: what leaves on one side comes in on the other. So the shape may start anywhere, and
its place in any one frame says nothing of the class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmexport.data.synth.motion import LEGS, Motion
from vmexport.data.synth.texture import colour, hue, shifted, waves

SHAPES = ("disc", "square", "diamond", "ring", "cross")
RADIUS = (0.11, 0.15)
"""Radius of the shape, as a share of the picture's side."""

STEP = (0.26, 0.32)
"""Length of one move, as a share of the side; about two patches of 16 pixels at a side of 112."""

DRIFT = 0.004
"""Most that the ground moves a frame, as a share of the side: a tenth of the shape's speed."""

UNEVEN = 0.2
"""How far a turn may be from its regular moment, as a share of a move's duration."""

CELLS = 4
"""The middle of the path lies in one of CELLS x CELLS cells; training takes every other one of them."""


@dataclass(frozen=True)
class Scene:
    """Everything about a film but its class: the same scene is filmed once for every class.

    Attributes:
        ground: (size, size, 3) float64, 0 to 255; repeats at its borders.
        drift: pixels a frame, x and y.
        skin: (side, side, 3) float64, the texture of the shape.
        shape: one of `SHAPES`.
        radius: of the shape, pixels.
        middle: of the path, pixels, x and y.
        step: length of a move, pixels.
        turns: moments of the turns, 0 to 1.
    """

    ground: NDArray[np.float64]
    drift: NDArray[np.float64]
    skin: NDArray[np.float64]
    shape: str
    radius: float
    middle: NDArray[np.float64]
    step: float
    turns: NDArray[np.float64]

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return int(self.ground.shape[0])


def draw_scene(size: int, random: np.random.Generator, held_out: bool) -> Scene:
    """Choose a scene.

    Args:
        size: side of the picture in pixels.
        random: source of all choices.
        held_out: take colours and places that training never takes.
    """
    radius, step = size * random.uniform(*RADIUS), size * random.uniform(*STEP)
    shape_hue = hue(random, held_out)
    ground = _two_colours(
        waves(size, random, (1, 5)),
        colour(hue(random, held_out), random.uniform(0.1, 0.5), random.uniform(0.15, 0.3)),
        colour(hue(random, held_out), random.uniform(0.1, 0.5), random.uniform(0.35, 0.5)),
    )
    side = 2 * int(np.ceil(radius)) + 4
    skin = _two_colours(
        waves(side, random, (1, 4)),
        colour(shape_hue, random.uniform(0.3, 0.9), 1.0),
        colour(shape_hue, random.uniform(0.0, 0.3), random.uniform(0.55, 0.75)),
    )
    regular = np.arange(1, LEGS) / LEGS
    return Scene(
        ground=ground,
        drift=random.uniform(-DRIFT, DRIFT, size=2) * size,
        skin=skin,
        shape=str(random.choice(SHAPES)),
        radius=radius,
        middle=size * _place(random, held_out),
        step=step,
        turns=regular + random.uniform(-UNEVEN, UNEVEN, size=LEGS - 1) / LEGS,
    )


def film(scene: Scene, motion: Motion, frames: int) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a scene with one class of motion.

    Yields:
        (size, size, 3) uint8, RGB.
    """
    path = scene.middle + scene.step * motion.path(frames, scene.turns)
    for index, (x, y) in enumerate(path):
        moment = frames - 1 - index if motion.backwards else index
        picture = shifted(scene.ground, *(scene.drift * moment))
        _paint(picture, scene, x, y)
        yield np.asarray(picture.round().clip(0, 255), dtype=np.uint8)


def _place(random: np.random.Generator, held_out: bool) -> NDArray[np.float64]:
    """A point in the unit square, in one of those cells of a chessboard that the part takes."""
    row, column = (int(value) for value in random.integers(CELLS, size=2))
    if (row + column) % 2 != int(held_out):
        column = (column + 1) % CELLS
    return (np.array([column, row]) + random.uniform(0, 1, size=2)) / CELLS


def _two_colours(
    pattern: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A pattern (H, W) from -1 to 1 as a mixture of two colours, (H, W, 3)."""
    share = (pattern[..., None] + 1) / 2
    return low * (1 - share) + high * share


def _paint(picture: NDArray[np.float64], scene: Scene, x: float, y: float) -> None:
    """Lay the shape over a picture, its middle at (x, y) in pixels, with soft edges."""
    side = scene.skin.shape[0]
    rows = round(y) - side // 2 + np.arange(side)
    columns = round(x) - side // 2 + np.arange(side)
    distance = _outside(scene.shape, columns[None, :] - x, rows[:, None] - y, scene.radius)
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    place = np.ix_(rows % scene.size, columns % scene.size)
    picture[place] = picture[place] * (1 - cover) + scene.skin * cover


def _outside(
    shape: str, x: NDArray[np.float64], y: NDArray[np.float64], radius: float
) -> NDArray[np.float64]:
    """How far points lie outside a shape around the origin, in pixels; negative inside."""
    across, along = np.abs(x), np.abs(y)
    if shape == "square":
        return np.asarray(np.maximum(across, along) - 0.85 * radius)
    if shape == "diamond":
        return np.asarray((across + along - 1.2 * radius) / np.sqrt(2))
    if shape == "cross":
        beam = np.minimum(
            np.maximum(across - radius, along - 0.45 * radius),
            np.maximum(across - 0.45 * radius, along - radius),
        )
        return np.asarray(beam)
    distance = np.hypot(x, y)
    if shape == "ring":
        return np.asarray(np.abs(distance - 0.7 * radius) - 0.3 * radius)
    return np.asarray(distance - radius)
