"""Lists of class names: one a line, or JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vmexport.data.formats.text import read_json, read_lines
from vmexport.errors import InputError

NAMES = tuple(
    f"{stem}{ending}"
    for stem in ("labels", "classes", "class_names", "classnames", "label_map", "kinetics_classnames")
    for ending in (".txt", ".json")
)
"""What a list of class names is called, likeliest first."""


def find_classes(folders: Iterable[Path]) -> Path | None:
    """The first list of class names in some folders."""
    paths = (folder / name for folder in dict.fromkeys(folders) for name in NAMES)
    return next((path for path in paths if path.is_file()), None)


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names in label order.

    Text: a name a line, or a number (from 0 or 1, in order) and a name. JSON: a list of names, or an object
    from name to number.

    Raises:
        InputError: another form, a name that is there twice, or numbers with gaps.
    """
    names = _from_json(path) if path.suffix.lower() == ".json" else _from_lines(path)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise InputError(
            f"{path} is no list of class names",
            f"{twice[0]!r} stands there twice" if twice else "it is empty",
            "give every class one name, in label order",
        )
    return tuple(names)


def _from_lines(path: Path) -> list[str]:
    """Names of a text file."""
    names = [line for _, line in read_lines(path)]
    parts = [re.match(r"(\d+)[\s,:;]+(.+)", name) for name in names]
    numbers = [int(part[1]) for part in parts if part]
    if names and numbers in (list(range(len(names))), list(range(1, len(names) + 1))):
        return [part[2] for part in parts if part]
    return names


def _from_json(path: Path) -> list[str]:
    """Names of a JSON file."""
    value = read_json(path)
    if isinstance(value, Mapping):
        return names_by_number(value, path)
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    raise InputError(
        f"{path} is no list of class names", "expected a list of names, or an object from name to number"
    )


def names_by_number(value: Mapping[str, Any], path: Path) -> list[str]:
    """Names in the order of the numbers that an object gives them; the numbers are 0 to classes - 1.

    Raises:
        InputError: anything else.
    """
    try:
        by_number = {int(number): name.strip('"') for name, number in value.items()}
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path} gives a class no number", str(error), 'expected {"name": 0, ...}'
        ) from error
    if sorted(by_number) != list(range(len(value))):
        raise InputError(
            f"the class numbers of {path} are not 0 to {len(value) - 1}",
            f"there are {len(value)} names and {len(by_number)} different numbers, "
            f"{min(by_number, default=0)} to {max(by_number, default=0)}",
            "number the classes from 0 without gaps",
        )
    return [by_number[number] for number in range(len(value))]
