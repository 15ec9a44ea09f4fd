"""Data sets published with three splits, whose number stands in the names of their lists: HMDB51, UCF101."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vmexport.data.formats.catalogue import sorted_listing
from vmexport.errors import UsageError


def find_fold_lists(root: Path, pattern: re.Pattern[str]) -> list[Path]:
    """The lists of all splits, at the root or in a folder below it; empty where there is none."""
    folders = [root, *(entry for entry in sorted_listing(root) if entry.is_dir())]
    found = ([path for path in sorted_listing(folder) if pattern.fullmatch(path.name)] for folder in folders)
    return next((lists for lists in found if lists), [])


def lists_of_fold(
    lists: Sequence[Path], pattern: re.Pattern[str], fold: int, data_set: str
) -> dict[str, Path]:
    """The lists of one split, by what stands before its number: a class, or a part.

    Raises:
        UsageError: another fold than 1, 2 or 3.
    """
    if fold not in (1, 2, 3):
        raise UsageError(f"there is no split {fold}", f"{data_set} has 1, 2 and 3", "--fold 1")
    matches = ((pattern.fullmatch(path.name), path) for path in lists)
    return {match[1]: path for match, path in matches if match and match[2] == str(fold)}
