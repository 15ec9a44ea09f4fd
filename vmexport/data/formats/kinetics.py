"""Lists of `path label`, as SlowFast and its followers use for Kinetics, and Kinetics' own annotations."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from vmexport.data.formats.catalogue import UNPARTED, Catalogue, Entry, part_of, sorted_listing
from vmexport.data.formats.classes import find_classes, read_classes
from vmexport.data.formats.files import Listing, video_folder
from vmexport.data.formats.lines import Line, is_list, read_list
from vmexport.errors import InputError

ENDINGS = {".csv", ".txt", ".tsv", ".list"}
FOLDERS = ("", "annotations", "lists", "splits", "labels")
"""Where lists are, below the root of a data set."""


def find_lists(root: Path, strict: bool = False) -> dict[str, Path]:
    """The lists of a folder, by part; empty where there is none.

    Args:
        root: the folder.
        strict: `train.csv` and `val.csv` count whatever they hold, for their errors to be told.

    Raises:
        InputError: two lists claim to be the same part.
    """
    for name in FOLDERS:
        folder = root / name
        found = _lists_of(folder, strict) if folder.is_dir() else {}
        if found:
            return found
    return {}


def read_lists(path: Path, videos: Path | None) -> Catalogue:
    """Read the lists of a data set.

    Args:
        path: the folder, or one list; with a part in its name it brings its siblings along.
        videos: folder that the paths start from; None searches at and around the lists.

    Raises:
        InputError: no list, lines that cannot be read, labels that mix numbers and names, or no video found.
    """
    lists = (find_lists(path) or find_lists(path, strict=True)) if path.is_dir() else _lists_around(path)
    if not lists:
        raise InputError(
            f"{path} holds no list of videos",
            "expected train.csv, val.csv or test.csv with a path and a label a line",
            "name the layout, if it is another: --layout folder",
        )
    root = path if path.is_dir() else path.parent
    folder = next(iter(lists.values())).parent
    lines = {part: read_list(file) for part, file in lists.items()}
    if not any(lines.values()):
        raise InputError(
            f"the lists of {root} are empty", ", ".join(str(file) for file in lists.values()), "fill them"
        )
    sources = list(lists.values())
    named = find_classes((folder, root))
    classes, number_of = _classes(lines, named)
    paths = _resolve(lines, (folder, root, folder.parent), videos)
    parts = {
        part: [
            Entry(where, number_of[line.label], line.where)
            for where, line in zip(paths[part], part_lines, strict=True)
        ]
        for part, part_lines in lines.items()
    }
    return Catalogue(
        "kinetics",
        root,
        classes,
        parts,
        fixed_classes=named is not None,
        sources=sources + ([named] if named else []),
    )


def _lists_of(folder: Path, strict: bool = False) -> dict[str, Path]:
    """Lists in one folder; `train.csv` comes before `kinetics400_train_list.csv`.

    Beside a list, a `train.csv` or `val.csv` that is none counts too: a damaged one must not go unnoticed.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    damaged: dict[str, list[Path]] = defaultdict(list)
    for path in sorted_listing(folder):
        part = _part_in(path) if path.suffix.lower() in ENDINGS and path.is_file() else None
        if part is None:
            continue
        if is_list(path):
            found[part].append(path)
        elif path.suffix.lower() == ".csv" and part_of(path.stem) in ("train", "val"):
            damaged[part].append(path)
    if found or strict:
        found |= {part: paths for part, paths in damaged.items() if part not in found}
    exact = {part: [p for p in paths if part_of(p.stem)] or paths for part, paths in found.items()}
    for part, paths in exact.items():
        if len(paths) > 1:
            raise InputError(
                f"{folder} has {len(paths)} lists of the part {part!r}",
                ", ".join(path.name for path in paths),
                f"name the one you mean: {paths[0]}",
            )
    return {part: paths[0] for part, paths in exact.items()}


def _lists_around(path: Path) -> dict[str, Path]:
    """A list and its siblings of other parts: those whose names differ in the part only."""
    part = _part_in(path)
    if part is None:
        return {UNPARTED: path}
    pattern = _without_part(path)
    siblings = {
        other: entry
        for entry in sorted_listing(path.parent)
        if entry.suffix == path.suffix and (other := _part_in(entry)) and _without_part(entry) == pattern
    }
    return {**siblings, part: path}


def _words(path: Path) -> list[str]:
    return re.split(r"[^A-Za-z0-9]+", path.stem)


def _part_in(path: Path) -> str | None:
    """The part that a word of a file's name stands for."""
    parts = [part for word in _words(path) if (part := part_of(word))]
    return parts[0] if len(set(parts)) == 1 else None


def _without_part(path: Path) -> list[str]:
    return [word for word in _words(path) if part_of(word) is None]


def _classes(
    lines: Mapping[str, Sequence[Line]], named: Path | None
) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """Class names, and the number of each label as written."""
    labels = {line.label: line for part in lines.values() for line in part}
    numeric = {label for label in labels if label.lstrip("-").isdigit()}
    if numeric and len(numeric) < len(labels):
        odd = next(line for label, line in labels.items() if label not in numeric)
        raise InputError(
            f"{odd.where}: the label {odd.label!r} is a name, others are numbers",
            "labels must be all numbers, or all names",
            "correct the line",
        )
    if not numeric:
        classes = read_classes(named) if named else tuple(sorted(labels))
        unknown = next((line for label, line in labels.items() if label not in classes), None)
        if unknown is not None:
            raise InputError(
                f"{unknown.where}: {unknown.label!r} is no class",
                f"it is not in {named}",
                "correct either file",
            )
        return classes, {name: number for number, name in enumerate(classes)}
    numbers = {label: int(label) for label in numeric}
    return (read_classes(named) if named else _names_from_paths(lines, numbers)), numbers


MAX_UNNAMED = 100_000
"""Largest label without a list of class names; a larger one is a mistake, not that many classes."""


def _names_from_paths(lines: Mapping[str, Sequence[Line]], numbers: Mapping[str, int]) -> tuple[str, ...]:
    """Names of the folders that videos lie in, where each class has one of its own; else `class 17`."""
    highest = max(numbers.values())
    if highest >= MAX_UNNAMED:
        wrong = next(line for part in lines.values() for line in part if numbers[line.label] == highest)
        raise InputError(
            f"{wrong.where}: label {highest} is out of range",
            "without a list of class names, labels count from 0 to the number of classes less 1",
            "number the classes from 0, or name them in a file labels.txt beside the lists",
        )
    folders: dict[int, set[str]] = defaultdict(set)
    for part in lines.values():
        for line in part:
            folders[numbers[line.label]].add(PurePosixPath(line.name).parent.name)
    own = {number: next(iter(names)) for number, names in folders.items() if len(names) == 1}
    names = list(own.values())
    if len(own) < len(folders) or len(set(names)) < len(names) or "" in names or len(names) < 2:
        own = {}
    return tuple(own.get(number, f"class {number}") for number in range(highest + 1))


def _resolve(
    lines: Mapping[str, Sequence[Line]], bases: Sequence[Path], videos: Path | None
) -> dict[str, list[Path]]:
    """The files that the lines name: absolute, or relative to the folder that fits most of them."""
    listing = Listing()
    paths: dict[str, list[Path]] = {part: [] for part in lines}
    for part, part_lines in lines.items():
        names = [line.name for line in part_lines if not Path(line.name).is_absolute()]
        folder, flat = _folder_of(names, bases, listing, videos) if names else (Path(), False)
        for line in part_lines:
            whole = Path(line.name)
            path = folder / (whole.name if flat and not whole.is_absolute() else whole)
            paths[part].append(listing.find(path) or path)
    return paths


def _folder_of(
    names: Sequence[str], bases: Sequence[Path], listing: Listing, videos: Path | None
) -> tuple[Path, bool]:
    """The folder of a list's videos, and whether they lie flat in it although the list names folders."""
    try:
        return video_folder(names, bases, listing, videos), False
    except InputError:
        with contextlib.suppress(InputError):
            return video_folder([PurePosixPath(name).name for name in names], bases, listing, videos), True
        raise
