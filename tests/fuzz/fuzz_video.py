"""Films: what `vmexport data check` and `predict` ask of a file before they decode the rest of it.

python tests/fuzz/fuzz_video.py [--seconds 600]
"""

from __future__ import annotations

import sys
from pathlib import Path

from campaign import ROOT, Read, Target, main

KINDS = (
    ("mp4", "libx264", "yuv420p"),
    ("mov", "mpeg4", "yuv420p"),
    ("mkv", "libx264", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("mpg", "mpeg2video", "yuv420p"),
    ("ts", "libx264", "yuv420p"),
    ("gif", "gif", "rgb8"),
)
"""Containers and codecs of the seeds."""


def seeds(folder: Path) -> None:
    """Six pictures in every container; a turned one; one whose pictures come at odd times."""
    sys.path.insert(0, str(ROOT / "tests/video"))
    from films import film, moving

    for suffix, codec, pixels in KINDS:
        pictures = (moving(index, 48, 32) for index in range(6))
        film(folder / f"{codec}.{suffix}", pictures, codec=codec, pixels=pixels)
    few = [moving(index, 48, 32) for index in range(6)]
    film(folder / "turned.mp4", few, turn=(90, False, False))
    film(folder / "odd_times.mkv", few, times_ms=(0, 40, 41, 500, 510, 2000))


def reader() -> Read:
    """Probing, then one small clip of what passed."""
    from vmexport.config import Architecture
    from vmexport.video import load_clips, probe

    architecture = Architecture(d_model=16, depth=1, frames=2, size=16)

    def read(path: Path) -> None:
        info = probe(path)
        if info.width * info.height <= 1 << 16 and info.frames <= 100:
            load_clips(path, architecture)

    return read


TARGET = Target("video", "film.mp4", seeds, reader)

if __name__ == "__main__":
    sys.exit(main(TARGET))
