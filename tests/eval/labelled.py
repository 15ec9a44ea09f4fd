"""Real films whose frames carry their number, in class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from films import film

CLASSES = ("climb", "dive", "row")
VIDEOS_OF_A_CLASS = 2
FRAMES = 8


def write_set(root: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """Class folders below `root/train` and `root/val`.

    Each film has its own brightness, which rises from frame to frame; training has one of each class.
    """
    for label, name in enumerate(classes):
        for part, videos in (("train", 1), ("val", VIDEOS_OF_A_CLASS)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(videos):
                level = 20 + 60 * label + 20 * number
                pictures = [np.full((48, 64, 3), level + 2 * frame, np.uint8) for frame in range(FRAMES)]
                film(folder / f"{number}.mp4", pictures)
    return root
