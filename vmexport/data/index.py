"""What a data set is once its format has been read: videos, their labels, and the names of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmexport.config.choices import Layout, Split

SPLITS = Split.all()
LAYOUTS = tuple(layout for layout in Layout.all() if layout != Layout.AUTO)
"""Formats that `open_index` reads; "index" is the JSON file that `vmexport data index` writes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled video.

    Attributes:
        path: the file; absolute, or relative to the working directory as the data set's path was.
        label: number of its class, from 0.
    """

    path: Path
    label: int


@dataclass(frozen=True)
class VideoIndex:
    """The videos of one split, and the classes of the whole data set.

    Attributes:
        samples: in the order of the source; deterministic.
        classes: names in label order; `class 17` where the source names none.
        split: "train", "val", "test" or "all".
        layout: the format it was read from, one of `LAYOUTS`.
        root: folder of the data set.
        directional: whether left and right matter to the labels, so that clips must not be flipped.
        sources: the files that were read for it; empty for class folders.
        notes: what was decided on the way, in sentences for the user to read.
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    split: str
    layout: str
    root: Path
    directional: bool = False
    sources: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def num_classes(self) -> int:
        """Number of classes of the data set, those without a video in this split included."""
        return len(self.classes)
