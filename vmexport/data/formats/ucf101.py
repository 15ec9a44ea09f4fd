"""UCF101 as published: class folders in `UCF-101`, three splits as lists in `ucfTrainTestlist`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vmexport.data.formats.catalogue import Catalogue, Entry
from vmexport.data.formats.files import Listing, video_folder
from vmexport.data.formats.folds import find_fold_lists, lists_of_fold
from vmexport.data.formats.text import read_lines
from vmexport.errors import InputError

LIST = re.compile(r"(train|test)list0([123])\.txt")
CLASSES = "classInd.txt"


def find_ucf101(root: Path) -> list[Path]:
    """The lists, at the root or in a folder below it; empty where there is none."""
    return find_fold_lists(root, LIST)


def read_ucf101(path: Path, videos: Path | None, fold: int) -> Catalogue:
    """Read one of the three splits; the class of a video is the folder that its line names.

    Args:
        path: the folder of the data set, or of the lists, or one list.
        videos: folder of the class folders; None searches at and below the root.
        fold: which split, 1 to 3.

    Raises:
        UsageError: another fold.
        InputError: no list of that split, a line that cannot be read, or no video found.
    """
    root = path if path.is_dir() else path.parent
    lists = lists_of_fold(find_ucf101(root), LIST, fold, "UCF101")
    if "train" not in lists:
        raise InputError(
            f"{root} has no list of split {fold}",
            f"expected trainlist0{fold}.txt and testlist0{fold}.txt",
            "choose another split with --fold, or unpack the lists beside the class folders",
        )
    lines = {part: _names(file) for part, file in lists.items()}
    named = lists["train"].with_name(CLASSES)
    folders = sorted({name.split("/")[0] for name, _ in lines["train"]})
    classes = _classes(named) if named.is_file() else tuple(folders)
    label_of = {name: label for label, name in enumerate(classes)}
    listing = Listing()
    names = [name for part in lines.values() for name, _ in part]
    folder = video_folder(names, (root, lists["train"].parent, root.parent), listing, videos)
    parts = {
        part: [
            Entry(listing.find(folder / name) or folder / name, _label(name, label_of, where), where)
            for name, where in part_lines
        ]
        for part, part_lines in lines.items()
    }
    sources = [*lists.values(), *([named] if named.is_file() else [])]
    return Catalogue("ucf101", root, classes, parts, fixed_classes=named.is_file(), sources=sources)


def _names(path: Path) -> list[tuple[str, str]]:
    """`CLASS/video.avi` of every line, and its place; training lists have the class's number behind it."""
    found = []
    for number, line in read_lines(path):
        name = re.sub(r"\s+\d+$", "", line).replace("\\", "/")
        if name.count("/") != 1:
            raise InputError(
                f"{path.name}:{number} cannot be read: {line[:80]!r}",
                "expected CLASS/video.avi",
                f"correct the line in {path}",
            )
        found.append((name, f"{path.name}:{number}"))
    return found


def _classes(path: Path) -> tuple[str, ...]:
    """Names of `classInd.txt`, which counts them from 1."""
    names = [line.partition(" ") for _, line in read_lines(path)]
    if [number for number, _, _ in names] != [str(number) for number in range(1, len(names) + 1)]:
        raise InputError(
            f"{path} is no list of UCF101's classes", "expected `1 ApplyEyeMakeup`, ...", "download it again"
        )
    return tuple(name.strip() for _, _, name in names)


def _label(name: str, label_of: dict[str, int], where: str) -> int:
    """The class's number of a video."""
    label = label_of.get(name.split("/")[0])
    if label is None:
        known: Sequence[str] = sorted(label_of)
        raise InputError(
            f"{where}: {name.split('/')[0]!r} is no class",
            f"there are {len(known)}, {known[0]!r} to {known[-1]!r}",
            "correct the line",
        )
    return label
