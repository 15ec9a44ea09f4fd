"""Patterns without an edge: sums of random waves, and colours of which some are kept for validation."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

HUES = 12
"""Bands of the colour wheel; training takes the even ones, validation the odd ones."""


def waves(
    size: int, random: np.random.Generator, cycles: tuple[float, float], count: int = 6
) -> NDArray[np.float64]:
    """A pattern that repeats at its borders, (size, size), from about -1 to 1.

    Args:
        size: pixels.
        random: source of directions, phases and strengths.
        cycles: least and most periods over the size.
        count: number of waves.
    """
    y, x = np.mgrid[0:size, 0:size] * (2 * np.pi / size)
    total = np.zeros((size, size))
    for _ in range(count):
        length, angle = random.uniform(*cycles), random.uniform(0, 2 * np.pi)
        fx, fy = round(length * np.cos(angle)), round(length * np.sin(angle))
        total += random.uniform(0.5, 1.0) * np.sin(fx * x + fy * y + random.uniform(0, 2 * np.pi))
    return np.asarray(total / max(1e-9, np.abs(total).max()))


def hue(random: np.random.Generator, held_out: bool) -> float:
    """A hue, 0 to 1, out of the bands for training or of those that are held out."""
    band = 2 * int(random.integers(HUES // 2)) + int(held_out)
    return (band + random.uniform(0.1, 0.9)) / HUES


def colour(hue_: float, saturation: float, value: float) -> NDArray[np.float64]:
    """RGB, (3,), 0 to 255."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue_, saturation, value))


def shifted(texture: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    """A texture (size, size, 3) moved by a fraction of pixels; what leaves comes in on the other side."""
    whole_x, whole_y = int(np.floor(x)), int(np.floor(y))
    part_x, part_y = x - whole_x, y - whole_y
    texture = np.roll(texture, (whole_y, whole_x), axis=(0, 1))
    texture = texture * (1 - part_x) + np.roll(texture, 1, axis=1) * part_x
    return np.asarray(texture * (1 - part_y) + np.roll(texture, 1, axis=0) * part_y)
