"""The JSON file that `vmexport data index` writes: a data set of any format in one list."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from vmexport.data.formats.catalogue import PART_NAMES, Catalogue, Entry
from vmexport.data.formats.text import read_json
from vmexport.documents import fit
from vmexport.errors import InputError

FORMAT = "vmexport data index 1"


class _Index(msgspec.Struct):
    """The file's content."""

    classes: tuple[str, ...]
    directional: bool
    parts: dict[str, list[tuple[str, int]]]


def read_index_file(path: Path, videos: Path | None) -> Catalogue:
    """Read such a file.

    Args:
        path: the file.
        videos: folder that its relative paths start from; None: the folder of the file.

    Raises:
        InputError: another file, or a damaged one.
    """
    value = read_json(path)
    if not isinstance(value, Mapping) or value.get("format") != FORMAT:
        raise InputError(
            f"{path} is no index of videos",
            f'expected "format": "{FORMAT}"',
            f"write one: vmexport data index DATA -o {path}",
        )
    try:
        found = fit(value, _Index)
    except ValueError as error:
        raise InputError(
            f"{path} is damaged", str(error), f"write it again: vmexport data index DATA -o {path}"
        ) from error
    base = videos or path.parent
    parts = {
        part: [
            Entry(base / name, label, f"{path.name}, {part} {number}")
            for number, (name, label) in enumerate(entries)
        ]
        for part, entries in found.parts.items()
    }
    if not set(parts) <= set(PART_NAMES):
        raise InputError(f"{path} has unknown parts", f"{', '.join(parts)}", "they are train, val and test")
    return Catalogue("index", path.parent, found.classes, parts, True, found.directional, [path])


def index_text(
    classes: tuple[str, ...], directional: bool, parts: Mapping[str, list[tuple[Path, int]]], folder: Path
) -> str:
    """The text of such a file.

    Args:
        classes: names in label order.
        directional: whether clips must not be flipped.
        parts: videos and labels of each part.
        folder: where the file will be; videos below it are named relative to it, others absolutely.
    """
    value = {
        "format": FORMAT,
        "classes": list(classes),
        "directional": directional,
        "parts": {
            part: [[portable(path, folder), label] for path, label in entries]
            for part, entries in parts.items()
        },
    }
    return json.dumps(value, indent=0) + "\n"


def portable(path: Path, folder: Path) -> str:
    """A path relative to a folder where it is below it, else the absolute path."""
    whole, base = Path(os.path.abspath(path)), Path(os.path.abspath(folder))  # noqa: PTH100 - keeps links
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else str(whole)
