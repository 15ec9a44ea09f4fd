"""Small films made on the spot, for data sets, demonstrations and tests that need real video files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from vmexport.errors import EnvironmentProblem, UsageError
from vmexport.files import atomic_write

ENCODER: Final = "libx264"
OPTIONS: Final = {"crf": "20", "threads": "1", "bf": "0", "mbtree": "0"}
"""One thread, no B-frames: the same file on every machine with the same PyAV. No macroblock trees: they read
memory that x264 never wrote, and about one film in a hundred comes out different."""


def write_demo_clip(
    path: Path | str, *, width: int = 320, height: int = 240, frames: int = 64, fps: int = 25, seed: int = 0
) -> Path:
    """Encode a chequered disc that wanders over a drifting background, as H.264 in yuv420p.

    Args:
        path: file to write; its ending chooses the container (`.mp4`, `.mkv`).
        width: pixels, even.
        height: pixels, even.
        frames: number of frames.
        fps: frames a second.
        seed: chooses colours and paths; the same seed gives the same pictures.

    Returns:
        `path`.

    Raises:
        UsageError: an odd or non-positive size, or no frames.
        EnvironmentProblem: this build of PyAV has no H.264 encoder.
        InputError: the folder is missing or not writable.
        BuildError: the disk is full.
    """
    if frames < 1:
        raise UsageError("a film needs a frame", f"got frames={frames}")
    pictures = (draw_frame(index, width, height, seed) for index in range(frames))
    return write_film(path, pictures, (height, width), fps)


def write_film(
    path: Path | str, pictures: Iterable[NDArray[np.uint8]], size: tuple[int, int], fps: int = 25
) -> Path:
    """Encode pictures as H.264 in yuv420p; the same pictures give the same bytes with the same PyAV.

    Args:
        path: file to write; its ending chooses the container (`.mp4`, `.mkv`).
        pictures: (height, width, 3) uint8, RGB, in order.
        size: (height, width), even.
        fps: frames a second.

    Returns:
        `path`.

    Raises:
        UsageError: an odd or non-positive size or rate.
        EnvironmentProblem: this build of PyAV has no H.264 encoder.
        InputError: the folder is missing or not writable.
        BuildError: the disk is full.
    """
    height, width = size
    if min(width, height, fps) < 1 or width % 2 or height % 2:
        raise UsageError(
            "the film's size does not fit",
            f"got {width}x{height}, {fps} frames a second; H.264 needs even sides",
        )
    require_encoder()
    path = Path(path)
    with atomic_write(path) as temporary, av.open(str(temporary), "w") as container:
        stream = container.add_stream(ENCODER, rate=fps, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def require_encoder() -> None:
    """Refuse to go on without an H.264 encoder.

    Raises:
        EnvironmentProblem: this build of PyAV has none.
    """
    if ENCODER not in av.codecs_available:
        raise EnvironmentProblem(
            "this PyAV cannot encode H.264",
            f"it was built without {ENCODER}",
            "pip install --force-reinstall av",
        )


def draw_frame(index: int, width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Picture `index` of the film: (height, width, 3) uint8, RGB."""
    random = np.random.default_rng(seed)
    waves = random.uniform(0.5, 2.5, size=(3, 2)) * 2 * np.pi / np.array([width, height])
    phases, speeds = random.uniform(0, 2 * np.pi, size=3), random.uniform(0.03, 0.12, size=3)
    turns = random.uniform(0.04, 0.09, size=2)
    colour = random.integers(120, 256, size=3)
    y, x = np.mgrid[0:height, 0:width]
    ground = 110 + 70 * np.sin(
        x[..., None] * waves[:, 0] + y[..., None] * waves[:, 1] + phases + index * speeds
    )
    radius = 0.22 * min(width, height)
    centre_x = width / 2 + (width / 2 - radius) * np.sin(turns[0] * index)
    centre_y = height / 2 + (height / 2 - radius) * np.cos(turns[1] * index)
    inside = (x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2
    square = radius / 3
    chequer = (((x - centre_x) // square + (y - centre_y) // square) % 2).astype(bool)
    ground[inside] = np.where(chequer[inside, None], colour, 255 - colour)
    return np.asarray(ground.clip(0, 255), dtype=np.uint8)
