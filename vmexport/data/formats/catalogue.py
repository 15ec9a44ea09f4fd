"""What every format is read into, before splits are chosen and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vmexport.errors import InputError

UNPARTED = ""
"""Name of the part of a data set that has no parts."""

PART_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid", "validate"),
    "test": ("test", "testing"),
}
"""What folders and files of each part are called."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One labelled video and where it is written down.

    Attributes:
        path: the file; whether it exists is not known yet.
        label: number of its class.
        where: `train.csv:17`, or the folder, for errors.
    """

    path: Path
    label: int
    where: str


@dataclass
class Catalogue:
    """A data set as its files describe it.

    Attributes:
        layout: name of the format.
        root: its folder.
        classes: names in label order.
        parts: entries of "train", "val" and "test", or of `UNPARTED` alone.
        fixed_classes: the format lists its classes, so one may have no video.
        directional: whether left and right matter, where the format settles it.
        sources: files that were read.
        notes: decisions, in sentences for the user.
    """

    layout: str
    root: Path
    classes: tuple[str, ...]
    parts: dict[str, list[Entry]]
    fixed_classes: bool = False
    directional: bool | None = None
    sources: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def part_of(name: str) -> str | None:
    """The part that a folder or a file's stem is named after, if any: `Validation` is "val"."""
    return next((part for part, names in PART_NAMES.items() if name.lower() in names), None)


def sorted_listing(folder: Path) -> list[Path]:
    """What is in a folder, by name, without hidden entries.

    Raises:
        InputError: it cannot be listed.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"cannot list the folder {folder}", error.strerror or str(error), f"ls -ld {folder}"
        ) from error
