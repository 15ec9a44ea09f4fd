"""Lists of class names: one a line, or JSON."""

from __future__ import annotations

import re
from collections import Counter
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

    Text: a name a line, or a number and a name, or a name and a number; numbers count from 0 or from 1, in
    any order, and a line of headings may come first (`id,name`). JSON: a list of names, an object from name
    to number, or one from number to name.

    Raises:
        InputError: another form, a name that is there twice, or numbers with gaps.
    """
    names = _from_json(path) if path.suffix.lower() == ".json" else _from_lines(path)
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice or not names:
        raise InputError(
            f"{path} is no list of class names",
            f"{twice[0]!r} stands there twice" if twice else "it is empty",
            "give every class one name, in label order",
        )
    return tuple(names)


NUMBER_FIRST = re.compile(r"(?P<number>\d{1,9})[\s,:;]+(?P<name>\S.*)")
NUMBER_LAST = re.compile(r"(?P<name>.*[^\s,:;])[\s,:;]+(?P<number>\d{1,9})")
HEADINGS = frozenset(
    ("id", "index", "number", "label", "class", "class_id", "label_id", "name", "class_name")
)
"""Words that may stand in the first line above the columns."""


def _from_lines(path: Path) -> list[str]:
    """Names of a text file."""
    lines = [line for _, line in read_lines(path)]
    headed = bool(lines) and {cell.strip().lower() for cell in re.split(r"[,;\t]", lines[0])} <= HEADINGS
    for rows in (lines, lines[1:]) if headed else (lines,):
        names = _numbered(rows, NUMBER_FIRST)
        if names:
            return names
        names = _numbered(rows, NUMBER_LAST)
        if len(set(names)) > 1:  # "class 0", "class 1" are names: without the number they would all be one
            return names
    return [_unquoted(line) for line in lines]


def _numbered(lines: list[str], form: re.Pattern[str]) -> list[str]:
    """Names in the order of the numbers beside them; none where the lines are not of that form."""
    parts = [form.fullmatch(line) for line in lines]
    names = {int(part["number"]): _unquoted(part["name"]) for part in parts if part}
    counted = sorted(names) in (list(range(len(lines))), list(range(1, len(lines) + 1)))
    return [names[number] for number in sorted(names)] if counted else []


def _unquoted(name: str) -> str:
    """A name without the quotes around it, as CSV writes those that hold a comma."""
    name = name.strip()
    return name[1:-1].replace('""', '"') if len(name) > 1 and name[0] == name[-1] == '"' else name


def _from_json(path: Path) -> list[str]:
    value = read_json(path)
    if isinstance(value, Mapping):
        if value and _all_texts(value.values()) and all(key.isascii() and key.isdigit() for key in value):
            return _by_number({int(key): name.strip() for key, name in value.items()}, len(value), path)
        return names_by_number(value, path)
    if isinstance(value, list) and _all_texts(value):
        return value
    raise InputError(
        f"{path} is no list of class names",
        "expected a list of names, or an object from name to number or from number to name",
    )


def _all_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


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
    return _by_number(by_number, len(value), path)


def _by_number(by_number: Mapping[int, str], count: int, path: Path) -> list[str]:
    """Names in the order of their numbers, 0 to count - 1.

    Raises:
        InputError: other numbers.
    """
    if sorted(by_number) != list(range(count)):
        raise InputError(
            f"the class numbers of {path} are not 0 to {count - 1}",
            f"there are {count} names and {len(by_number)} different numbers, "
            f"{min(by_number, default=0)} to {max(by_number, default=0)}",
            "number the classes from 0 without gaps",
        )
    return [by_number[number] for number in range(count)]
