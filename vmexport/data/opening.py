"""Opening a data set: which format it has, which videos a split holds, and what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

from vmexport.data.consistency import check_catalogue
from vmexport.data.formats.catalogue import UNPARTED, Catalogue, Entry
from vmexport.data.formats.detect import read_catalogue
from vmexport.data.formats.files import Listing
from vmexport.data.hold_out import HOLD_OUT, divide
from vmexport.data.index import LAYOUTS, SPLITS, Sample, VideoIndex
from vmexport.errors import InputError, UsageError

SIDED = re.compile(
    r"(^|[^a-z])(left|right|clockwise|anticlockwise|counterclockwise)([^a-z]|$)", re.IGNORECASE
)
"""Words of class names that a mirror would turn into another class."""


def open_index(
    path: Path | str,
    split: str = "train",
    layout: str = "auto",
    *,
    videos: Path | str | None = None,
    fold: int = 1,
    directional: bool | None = None,
) -> VideoIndex:
    """Read one split of a data set in any of the published formats; no video is opened.

    Files that do not exist stay in the index, with a note, as damaged ones do: what happens with them is for
    training and evaluation to say. Where most are missing, that is an error.

    Args:
        path: folder of the data set, or one of its files (a list, `index.json`).
        split: "train", "val", "test", or "all" of them.
        layout: "kinetics", "ssv2", "hmdb51", "ucf101", "folder", "index", or "auto".
        videos: folder that the names in the lists start from; None searches.
        fold: which of the three splits of HMDB51 or UCF101.
        directional: whether left and right matter to the labels; None: Something-Something, and class names
            with words such as "left".

    Raises:
        UsageError: an unknown split, layout or fold.
        InputError: no such format there, damaged or contradicting lists, an empty split, training videos of
            one class only, or most videos missing.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", f"expected one of {', '.join(SPLITS)}", "--split val")
    return _view(_read(path, layout, videos, fold), split, directional)


def open_parts(
    path: Path | str,
    layout: str = "auto",
    *,
    videos: Path | str | None = None,
    fold: int = 1,
    directional: bool | None = None,
) -> dict[str, VideoIndex]:
    """Read every part that a data set has; one that does not say what validates is divided.

    Returns:
        "train", "val" and "test", those of them that there are.

    Raises:
        UsageError, InputError: as `open_index`, whose arguments these are.
    """
    catalogue = _read(path, layout, videos, fold)
    parts = (
        ("train", "val")
        if _undivided(catalogue)
        else tuple(part for part in SPLITS if part in catalogue.parts)
    )
    return {part: _view(catalogue, part, directional) for part in parts}


def _read(path: Path | str, layout: str, videos: Path | str | None, fold: int) -> Catalogue:
    """Read and check a data set's description; what is odd but usable goes to its notes."""
    if layout not in ("auto", *LAYOUTS):
        raise UsageError(
            f"unknown layout {layout!r}", f"expected auto or one of {', '.join(LAYOUTS)}", "--layout auto"
        )
    catalogue = read_catalogue(Path(path), layout, Path(videos) if videos is not None else None, fold)
    catalogue.notes += check_catalogue(catalogue)
    return catalogue


def _view(catalogue: Catalogue, split: str, directional: bool | None) -> VideoIndex:
    """One split of a data set."""
    notes = list(catalogue.notes)
    entries = _choose(catalogue, split, notes)
    _check_split(catalogue, entries, split)
    notes += _missing(entries, catalogue)
    if directional is None:
        directional = catalogue.directional
    if directional is None:
        directional = any(SIDED.search(name) for name in catalogue.classes)
        if directional:
            notes.append("class names speak of sides: clips are not flipped")
    return VideoIndex(
        samples=tuple(Sample(entry.path, entry.label) for entry in entries),
        classes=catalogue.classes,
        split=split,
        layout=catalogue.layout,
        root=catalogue.root,
        directional=directional,
        sources=tuple(catalogue.sources),
        notes=tuple(notes),
    )


def _choose(catalogue: Catalogue, split: str, notes: list[str]) -> list[Entry]:
    """The entries of a split; decisions are added to the notes.

    Raises:
        InputError: the data set has no such part.
    """
    parts = catalogue.parts
    if split == "all":
        seen: dict[Path, Entry] = {}
        for entries in parts.values():
            for entry in entries:
                seen.setdefault(entry.path, entry)
        return list(seen.values())
    if _undivided(catalogue) and split != "test":
        return _divided(catalogue, split, notes)
    if split in parts:
        return parts[split]
    if split == "val" and "test" in parts:
        notes.append("there is no validation part: the test part stands for it")
        return parts["test"]
    there = ", ".join(part or "one list without parts" for part in parts)
    raise InputError(
        f"{catalogue.root} has no {split} part",
        f"it has: {there}",
        "add a list or a folder of training videos"
        if split == "train"
        else f"choose another: --split {'val' if split == 'test' else 'all'}",
    )


def _undivided(catalogue: Catalogue) -> bool:
    """Whether the data set does not say which videos validate."""
    return UNPARTED in catalogue.parts or set(catalogue.parts) == {"train"}


def _divided(catalogue: Catalogue, split: str, notes: list[str]) -> list[Entry]:
    """Training or validation entries of a data set that does not say which is which."""
    (whole,) = catalogue.parts.values()
    training, validation = divide(whole, catalogue.root)
    notes.append(
        f"no validation part: {HOLD_OUT:.0%} of each class, chosen by a hash of the file names, are set "
        f"aside for validation ({len(training)} videos to train, {len(validation)} to validate)"
    )
    return training if split == "train" else validation


def _check_split(catalogue: Catalogue, entries: list[Entry], split: str) -> None:
    """Refuse a split that nothing can be learned from or measured on."""
    if not entries:
        raise InputError(
            f"the {split} split of {catalogue.root} is empty",
            "its list has no videos"
            if split in catalogue.parts
            else "there are too few videos to set one aside",
            "add videos" if split == "train" else "add videos, or choose another: --split all",
        )
    present = {entry.label for entry in entries}
    if split == "train" and len(present) < 2:
        only = catalogue.classes[next(iter(present))]
        raise InputError(
            f"the training videos of {catalogue.root} are all of one class",
            f"{len(entries)} videos of {only!r}",
            "a classifier needs two classes or more: add class folders, or lines with another label",
        )


def _missing(entries: list[Entry], catalogue: Catalogue) -> list[str]:
    """A note on files that do not exist.

    Raises:
        InputError: more than half of them do not.
    """
    listing = Listing()
    missing = [entry for entry in entries if not listing.has(entry.path)]
    if not missing:
        return []
    first = missing[0]
    if 2 * len(missing) > len(entries):
        raise InputError(
            f"{len(missing)} of {len(entries)} videos of {catalogue.root} are missing",
            f"the first one, of {first.where}: {first.path}",
            "name the folder that the list's paths start from: --videos DIR",
        )
    return [
        f"{len(missing)} of {len(entries)} videos are missing, the first one {first.path} ({first.where}); "
        f"list them: vmexport data check {catalogue.root}"
    ]
