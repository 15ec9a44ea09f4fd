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
        self._folders: dict[str, dict[str, list[str]]] = {}

    def has(self, path: Path) -> bool:
        """Whether a file of that name is in its folder."""
        return path.name in self._names(path.parent).get(path.name.casefold(), ())

    def find(self, path: Path) -> Path | None:
        """The file, or else one whose name differs in its case only, or in its ending (re-encoded copies).

        Class folders may be written with underscores where the list has spaces. None too where several files
        would do: the list was written on a system that took them for one.
        """
        folder = path.parent
        if " " in folder.name and not self._names(folder):
            path = folder.with_name(folder.name.replace(" ", "_")) / path.name
        names = self._names(path.parent)
        stem = path.stem if path.suffix.lower() in VIDEO_ENDINGS else path.name
        for name in (path.name, *(stem + ending for ending in sorted(VIDEO_ENDINGS))):
            alike = names.get(name.casefold(), [])
            exact = [other for other in alike if other == name]
            if exact or len(alike) == 1:
                return path.parent / (exact or alike)[0]
        return None

    def _names(self, folder: Path) -> dict[str, list[str]]:
        """Names in a folder by their form without case; none where it cannot be listed."""
        key = str(folder)
        if key not in self._folders:
            self._folders[key] = {}
            with contextlib.suppress(OSError):
                for name in os.listdir(folder):  # noqa: PTH208 - names only, no objects
                    self._folders[key].setdefault(name.casefold(), []).append(name)
        return self._folders[key]


def video_folder(names: Sequence[str], bases: Iterable[Path], listing: Listing, videos: Path | None) -> Path:
    """The folder that a list's names are relative to.

    Args:
        names: the names, as listed.
        bases: where to look: in each of these folders and the folders in it, the first that has any wins.
        listing: what exists.
        videos: the user's own answer, which is then only checked.

    Raises:
        InputError: no name of a sample of the list is found anywhere.
    """
    probes = [Path(name) for name in names[:: max(1, len(names) // PROBES)]]
    tried: list[Path] = []
    for base in [videos] if videos else dict.fromkeys(bases):
        folders = [base] if videos else _with_folders(base)
        found = [sum(listing.find(folder / probe) is not None for probe in probes) for folder in folders]
        if max(found) > 0:
            return folders[found.index(max(found))]
        tried += folders
    where = ", ".join(str(folder) for folder in tried[:6]) + (", ..." if len(tried) > 6 else "")
    raise InputError(
        f"none of the listed videos is there: {names[0]} and {len(names) - 1} more",
        f"looked in {where}",
        "name the folder that the list's paths start from: --videos DIR",
    )


def _with_folders(base: Path) -> list[Path]:
    """A folder, then the folders in it."""
    try:
        return [base, *(entry for entry in sorted_listing(base) if entry.is_dir())]
    except InputError:  # a folder above the data set may be closed to us
        return [base]
