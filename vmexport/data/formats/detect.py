"""Which published format a data set has."""

from __future__ import annotations

from pathlib import Path

from vmexport.data.formats.catalogue import Catalogue
from vmexport.data.formats.folders import read_folders
from vmexport.errors import InputError


def read_catalogue(path: Path, layout: str, videos: Path | None, fold: int) -> Catalogue:
    """Read a data set.

    Args:
        path: its folder, or one of its files.
        layout: a format, or "auto".
        videos: folder that listed names start from; None searches.
        fold: HMDB51's split.

    Raises:
        UsageError: an unknown fold.
        InputError: nothing there, or no format that is known.
    """
    if not path.exists():
        raise InputError(f"there is no data set {path}", "no such file or folder", f"ls {path.parent}")
    return read_folders(path)
