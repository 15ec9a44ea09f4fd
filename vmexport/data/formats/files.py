"""Finding the videos that a list names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from vmexport.data.formats.catalogue import sorted_listing
from vmexport.errors import InputError

VIDEO_ENDINGS = frozenset(
    (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".ogv")
)

PROBES = 64
"""Names, spread over a list, by which the folder of its videos is found."""


def is_video(path: Path) -> bool:
    """Whether a file's ending is one of a video."""
    return path.suffix.lower() in VIDEO_ENDINGS


class Listing:
    """Answers which files exist; every folder is listed once, so that a large data set costs few calls."""

    def __init__(self) -> None:
        self._folders: dict[str, frozenset[str]] = {}

    def has(self, path: Path) -> bool:
        """Whether a file of that name is in its folder."""
        return path.name in self._names(path.parent)

    def find(self, path: Path) -> Path | None:
        """The file, or the one with the same stem and another ending of a video (re-encoded copies)."""
        names = self._names(path.parent)
        if path.name in names:
            return path
        stem = path.stem if path.suffix.lower() in VIDEO_ENDINGS else path.name
        for ending in sorted(VIDEO_ENDINGS):
            if stem + ending in names:
                return path.parent / (stem + ending)
        return None

    def _names(self, folder: Path) -> frozenset[str]:
        """Names in a folder; none where it cannot be listed."""
        key = str(folder)
        if key not in self._folders:
            try:
                self._folders[key] = frozenset(os.listdir(folder))  # noqa: PTH208 - names only, no objects
            except OSError:
                self._folders[key] = frozenset()
        return self._folders[key]


def video_folder(names: Sequence[str], bases: Iterable[Path], listing: Listing, videos: Path | None) -> Path:
    """The folder that a list's names are relative to.

    Args:
        names: the names, as listed.
        bases: where to look: each of these folders, then the folders in them.
        listing: what exists.
        videos: the user's own answer, which is then only checked.

    Raises:
        InputError: no name of a sample of the list is found anywhere.
    """
    probes = [Path(name) for name in names[:: max(1, len(names) // PROBES)]]
    tried = [videos] if videos else _with_folders(bases)
    found = [sum(listing.find(folder / probe) is not None for probe in probes) for folder in tried]
    if not found or max(found) == 0:
        where = ", ".join(str(folder) for folder in tried[:6]) + (", ..." if len(tried) > 6 else "")
        raise InputError(
            f"none of the listed videos is there: {names[0]} and {len(names) - 1} more",
            f"looked in {where}",
            "name the folder that the list's paths start from: --videos DIR",
        )
    return tried[found.index(max(found))]


def _with_folders(bases: Iterable[Path]) -> list[Path]:
    """The folders themselves, then the folders in them, each once."""
    own = list(dict.fromkeys(bases))
    inner: list[Path] = []
    for base in own:
        with contextlib.suppress(InputError):  # a folder above the data set may be closed to us
            inner += [entry for entry in sorted_listing(base) if entry.is_dir()]
    return list(dict.fromkeys([*own, *inner]))
