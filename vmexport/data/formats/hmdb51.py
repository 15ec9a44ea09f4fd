"""HMDB51 as published: class folders, and a list a class and split that says what trains and what tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vmexport.data.formats.catalogue import Catalogue, Entry
from vmexport.data.formats.files import Listing, video_folder
from vmexport.data.formats.folds import find_fold_lists, lists_of_fold
from vmexport.data.formats.text import read_lines
from vmexport.errors import InputError

LIST = re.compile(r"(.+)_test_split([123])\.txt")
PART = {"1": "train", "2": "test"}
"""What a line's number means; 0 is a video that the split does not use."""


def find_hmdb51(root: Path) -> list[Path]:
    """The lists, at the root or in a folder below it; empty where there is none."""
    return find_fold_lists(root, LIST)


def read_hmdb51(path: Path, videos: Path | None, fold: int) -> Catalogue:
    """Read one of the three splits; the class of a video is the list that it stands in.

    Args:
        path: the folder of the data set, or of the lists, or one list.
        videos: folder of the class folders; None searches at and below the root.
        fold: which split, 1 to 3.

    Raises:
        UsageError: another fold.
        InputError: no list of that split, a line that cannot be read, or no video found.
    """
    root = path if path.is_dir() else path.parent
    everything = find_hmdb51(root)
    lists = lists_of_fold(everything, LIST, fold, "HMDB51")
    if not lists:
        raise InputError(
            f"{root} has no lists of split {fold}",
            f"found {len(everything)} lists of other splits, expected CLASS_test_split{fold}.txt",
            "choose another split with --fold, or unpack the lists beside the class folders",
        )
    classes = tuple(sorted(lists))
    lines = [
        (name, label, *line) for label, name in enumerate(classes) for line in _read_class_list(lists[name])
    ]
    bases = (root, next(iter(lists.values())).parent, root.parent)
    parts = _located(lines, bases, videos)
    notes = [*_unused(lines), *_unlisted(everything, classes, fold)]
    return Catalogue("hmdb51", root, classes, parts, sources=[lists[name] for name in classes], notes=notes)


def _read_class_list(path: Path) -> list[tuple[str, str, str]]:
    """File name, number and place of every line."""
    found = []
    for number, line in read_lines(path):
        name, _, mark = line.rpartition(" ")
        if not name.strip() or mark not in {"0", "1", "2"}:
            raise InputError(
                f"{path.name}:{number} cannot be read: {line[:80]!r}",
                "expected a file name and 0 (unused), 1 (train) or 2 (test)",
                f"correct the line in {path}",
            )
        found.append((name.strip(), mark, f"{path.name}:{number}"))
    return found


def _located(
    lines: Sequence[tuple[str, int, str, str, str]], bases: Sequence[Path], videos: Path | None
) -> dict[str, list[Entry]]:
    """Entries by part, each with its file in the folder of its class."""
    listing = Listing()
    names = [f"{name}/{file}" for name, _, file, mark, _ in lines if mark in PART]
    folder = video_folder(names, bases, listing, videos) if names else Path()
    parts: dict[str, list[Entry]] = {part: [] for part in PART.values()}
    for name, label, file, mark, where in lines:
        if mark in PART:
            path = folder / name / file
            parts[PART[mark]].append(Entry(listing.find(path) or path, label, where))
    return parts


def _unused(lines: Sequence[tuple[str, int, str, str, str]]) -> list[str]:
    """A note on the videos that the split leaves out."""
    unused = sum(mark not in PART for *_, mark, _ in lines)
    return [f"{unused} videos belong to neither part of this split"] if unused else []


def _unlisted(lists: Sequence[Path], classes: Sequence[str], fold: int) -> list[str]:
    """A note on classes that have lists of other splits only."""
    named = {match[1] for file in lists if (match := LIST.fullmatch(file.name))}
    missing = sorted(named - set(classes))
    return [f"without a list of split {fold}, and so left out: {', '.join(missing)}"] if missing else []
