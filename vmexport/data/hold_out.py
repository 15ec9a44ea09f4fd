"""Dividing a data set that comes without parts into training and validation videos."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from vmexport.data.formats.catalogue import Entry

HOLD_OUT = 0.2
"""Share of the videos of each class that become validation videos."""


def divide(entries: Sequence[Entry], root: Path) -> tuple[list[Entry], list[Entry]]:
    """Split into training and validation, class by class.

    A video's side depends on a hash of its path below `root` and on how many videos its class has, not on the
    machine or the order of listing. A class of one video keeps it for training.

    Returns:
        training and validation entries, each in the order given.
    """
    by_class: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_class[entry.label].append(entry)
    held_out: set[int] = set()
    for members in by_class.values():
        ranked = sorted(members, key=lambda entry: _rank(entry.path, root))
        number = max(1, round(HOLD_OUT * len(members))) if len(members) > 1 else 0
        held_out.update(id(entry) for entry in ranked[:number])
    training = [entry for entry in entries if id(entry) not in held_out]
    return training, [entry for entry in entries if id(entry) in held_out]


def _rank(path: Path, root: Path) -> str:
    """A number that looks random and follows from the path below the root."""
    below = path.relative_to(root) if path.is_relative_to(root) else path
    return hashlib.sha256(below.as_posix().encode("utf-8", "surrogateescape")).hexdigest()
