"""Films out of pictures, for data sets that are made here."""

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
