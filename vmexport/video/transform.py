"""From decoded frames to the float array of a model: size after resizing, square crops, normalisation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vmexport.config import Architecture, Preprocessing
from vmexport.config.preprocessing import LARGEST_SIDE
from vmexport.errors import InputError, UsageError
from vmexport.video.sampling import crop_starts

MAX_LONG_SIDE = LARGEST_SIDE
"""Longest side after resizing, in pixels; a strip of a picture beyond it is refused, not allocated."""


def shorter_side(architecture: Architecture, preprocessing: Preprocessing) -> int:
    """Length of the shorter side after resizing, in pixels.

    Raises:
        UsageError: `preprocessing.resize` is smaller than the crop that the model needs.
    """
    side = preprocessing.resize or architecture.size
    if side < architecture.size:
        raise UsageError(
            "the resized frame is smaller than the model's input",
            f"preprocessing resizes the shorter side to {side}, the model takes {architecture.size}",
            f"use resize={architecture.size} or 0",
        )
    return side


def resized_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width once the shorter side is `side`; the longer side keeps the aspect, rounded down.

    Raises:
        InputError: the picture is so elongated that its longer side would pass `MAX_LONG_SIDE`.
    """
    longer = max(height, width) * side // min(height, width)
    check_long_side(height, width, longer, side)
    return (side, longer) if height <= width else (longer, side)


def check_long_side(height: int, width: int, longer: int, side: int) -> None:
    """Refuse a picture whose longer side would pass `MAX_LONG_SIDE` (or the shorter one, if that is longer).

    Raises:
        InputError: it would.
    """
    if longer > max(MAX_LONG_SIDE, side):
        raise InputError(
            "the picture is too elongated",
            f"{width}x{height} pixels would become {longer} pixels long; at most {MAX_LONG_SIDE}",
            "crop the video first",
        )


def crops(frames: NDArray[np.uint8], size: int, number: int) -> Iterator[NDArray[np.uint8]]:
    """Square crops along the longer side, evenly spaced, centred on the shorter side.

    Args:
        frames: (T, H, W, 3).
        size: side of the crop in pixels.
        number: how many crops.

    Yields:
        (T, size, size, 3) views into `frames`, from the top or left to the bottom or right.

    Raises:
        UsageError: the crop does not fit.
    """
    height, width = frames.shape[1:3]
    wide = width >= height
    for start in crop_starts(max(height, width), size, number):
        across = crop_starts(min(height, width), size, 1)[0]
        top, left = (across, start) if wide else (start, across)
        yield frames[:, top : top + size, left : left + size]


def normalise(frames: NDArray[np.uint8], preprocessing: Preprocessing, out: NDArray[np.float32]) -> None:
    """Write `(value / 255 - mean) / std` channel by channel.

    Args:
        frames: (T, H, W, 3) RGB.
        preprocessing: holds mean and std.
        out: (3, T, H, W), overwritten.
    """
    for channel, (mean, std) in enumerate(zip(preprocessing.mean, preprocessing.std, strict=True)):
        np.multiply(frames[..., channel], np.float32(1 / (255 * std)), out=out[channel], dtype=np.float32)
        out[channel] -= np.float32(mean / std)
