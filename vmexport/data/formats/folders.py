"""Class folders: `class/video.mp4`, with or without `train`, `val` and `test` above them."""

from __future__ import annotations

import os
from pathlib import Path

from vmexport.data.formats.catalogue import UNPARTED, Catalogue, Entry, part_of, sorted_listing
from vmexport.data.formats.files import VIDEO_ENDINGS, is_video
from vmexport.errors import InputError

EXPECTED = "expected CLASS/video.mp4, or train/CLASS/video.mp4 and val/CLASS/video.mp4"


def read_folders(root: Path) -> Catalogue:
    """Read class folders; a class is a folder with videos at any depth below it.

    Raises:
        InputError: no video in any folder, videos beside the class folders, or two folders for one part.
    """
    root, notes = _unwrapped(root)
    parts: dict[str, Path] = {}
    for folder in sorted_listing(root):
        part = part_of(folder.name) if folder.is_dir() else None
        if part is not None and _class_folders(folder):
            if part in parts:
                raise InputError(
                    f"{root} has two folders of the part {part!r}",
                    f"{parts[part].name} and {folder.name}",
                    "merge them, or move one away",
                )
            parts[part] = folder
    if "train" not in parts and len(parts) < 2 and set(_class_folders(root)) != set(parts.values()):
        parts = {UNPARTED: root}  # a class may be called "test", but hardly the only one
    if "train" in parts and "val" not in parts:  # an empty folder is a mistake, not a wish to divide
        hollow = [entry for entry in sorted_listing(root) if entry.is_dir() and part_of(entry.name) == "val"]
        if hollow:
            parts["val"] = hollow[0]
    found = {part: _videos_of(folder) for part, folder in parts.items()}
    classes = sorted({name for by_class in found.values() for name in by_class})
    catalogue = Catalogue("folder", root, tuple(classes), {}, notes=notes)
    label_of = {name: label for label, name in enumerate(classes)}
    for part, by_class in found.items():
        catalogue.parts[part] = [
            Entry(path, label_of[name], str(path.parent))
            for name, paths in sorted(by_class.items())
            for path in paths
        ]
        catalogue.notes += _left_out(parts[part])
    return catalogue


def _unwrapped(root: Path) -> tuple[Path, list[str]]:
    """The folder that holds the class folders, where the root holds nothing but it, and a note that says so.

    Archives such as UCF101's unpack into one folder of their own; one class alone would be no data set.
    """
    only = _class_folders(root)
    if len(only) != 1 or part_of(only[0].name) or any(is_video(entry) for entry in sorted_listing(only[0])):
        return root, []
    inside = _class_folders(only[0])
    if len(inside) < 2 and not any(part_of(entry.name) for entry in inside):
        return root, []
    return only[0], [f"the classes are the folders in {only[0].name}, the only folder of videos in {root}"]


def has_class_folders(root: Path) -> bool:
    """Whether a folder holds class folders, directly or below `train`, `val`, `test`."""
    folders = [entry for entry in sorted_listing(root) if entry.is_dir()]
    return any(_first_video(folder) is not None for folder in folders)


def _class_folders(folder: Path) -> list[Path]:
    """Folders directly below that hold a video at any depth."""
    return [entry for entry in sorted_listing(folder) if entry.is_dir() and _first_video(entry) is not None]


def _first_video(folder: Path) -> Path | None:
    """Any video below a folder."""
    return next(iter(_walk(folder, first=True)), None)


def _videos_of(folder: Path) -> dict[str, list[Path]]:
    """Videos of each class folder, by name."""
    found = {entry.name: _walk(entry) for entry in sorted_listing(folder) if entry.is_dir()}
    found = {name: paths for name, paths in found.items() if paths}
    if not found:
        raise InputError(
            f"{folder} holds no class folders with videos",
            f"{EXPECTED}; endings: {' '.join(sorted(VIDEO_ENDINGS))}",
            f"look at it: ls {folder}",
        )
    return found


def _walk(folder: Path, first: bool = False) -> list[Path]:
    """Videos below a folder by name, or only the first one met; links are followed, loops are not."""
    paths: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        status = Path(here).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [Path(here) / name for name in names if not name.startswith(".") and is_video(Path(name))]
        if first and paths:
            return paths[:1]
    return sorted(paths)


def _left_out(folder: Path) -> list[str]:
    """A note on videos that lie beside the class folders."""
    stray = [entry for entry in sorted_listing(folder) if entry.is_file() and is_video(entry)]
    return [f"{len(stray)} videos directly in {folder} have no class and are left out"] if stray else []
