"""The one reader of JSON and TOML that came from elsewhere, and the one check that they have a shape.

Cards, metadata, sidecars, records, lists and settings of runs may be written by anybody. What comes through
here is UTF-8, of bounded size and depth, without a key that is there twice, and its numbers are finite and
fit into 64 bits, so that no code behind it meets a `RecursionError`, a `nan` or an `OverflowError`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vmexport.opening import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

MOST_BYTES = 16 << 20
"""Bytes of a document; lists of videos may have more and say so."""

MOST_TOML_BYTES, MOST_DOTS = 1 << 18, 100
"""Of a TOML text, and of one of its lines: the time for a dotted key grows with the square of its parts."""

MOST_LEVELS = 64
"""Objects and lists inside one another."""

LARGEST_INTEGER = 2**63 - 1

_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of surrogate pairs; those in between stand for bytes of file names that are no UTF-8."""


def parse_json(content: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or beyond what this module lets through; the message is one line.
    """
    return _parse(content, lambda text: json.loads(text, object_pairs_hook=_object))


def parse_toml(content: str | bytes) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: as `parse_json`.
    """
    tables: dict[str, Any] = _parse(content, _read_toml)
    return tables


def read_json(path: Path | str, most: int = MOST_BYTES) -> Any:
    """The value of a JSON file, which has at most `most` bytes.

    Raises:
        InputError: there is no such file, it is no regular one, or it is too large.
        ValueError: as `parse_json`.
    """
    return parse_json(read_bytes(path, most))


def read_toml(path: Path | str) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        InputError: there is no such file, it is no regular one, or it is too large.
        ValueError: as `parse_json`.
    """
    return parse_toml(read_bytes(path, MOST_TOML_BYTES))


def fit(value: Any, shape: type[T]) -> T:
    """A value as a type, a dataclass or a `msgspec.Struct`; nothing is converted but lists to tuples.

    Whole numbers are numbers too, truth values are neither. Entries that a dataclass does not have are passed
    over; a Struct with `forbid_unknown_fields` refuses them.

    Raises:
        ValueError: it does not fit; the message is one line and says where, expected and got.
    """
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise ValueError(_said(str(error))) from error


def _said(message: str) -> str:
    """What msgspec says, in this project's words: `plugin.version should be str, got int`."""
    what, _, place = message.replace("`", "").partition(" - at ")
    place = place.removeprefix("key in ").removeprefix("$").removeprefix(".")
    if what.startswith("Expected "):
        return f"{place or 'it'} should be {what.removeprefix('Expected ')}"
    inside = f" in {place}" if place else ""
    for said, ours in (
        ("Object missing required field ", "it lacks "),
        ("Object contains unknown field ", "unknown entry "),
    ):
        if what.startswith(said):
            return f"{ours}{what.removeprefix(said)!r}{inside}"
    return f"{what[:1].lower()}{what[1:]}{inside}"


def _check_values(value: Any) -> None:
    """Refuse numbers that are not finite or need more than 64 bits, halves of letters, and deep nesting.

    Raises:
        ValueError: the first of them.
    """
    level, inside = 0, [value]
    while inside:
        below: list[Any] = []
        for one in inside:
            if isinstance(one, dict | list | tuple):
                if level == MOST_LEVELS:
                    raise ValueError(f"more than {MOST_LEVELS} levels")
                below.extend(one.values() if isinstance(one, dict) else one)
            elif isinstance(one, int) and not -LARGEST_INTEGER - 1 <= one <= LARGEST_INTEGER:
                raise ValueError("a whole number needs more than 64 bits")
            elif isinstance(one, float) and not math.isfinite(one):
                raise ValueError(f"{one} is no finite number")
            elif isinstance(one, str) and not one.isascii() and _HALF.search(one):
                raise ValueError("a text holds half of a surrogate pair")
        level, inside = level + 1, below


def _parse(content: str | bytes, reader: Callable[[str], Any]) -> Any:
    """What both languages have in common."""
    try:
        value = reader(content if isinstance(content, str) else content.decode("utf-8"))
    except RecursionError:
        raise ValueError(f"more than {MOST_LEVELS} levels") from None
    _check_values(value)
    return value


def _read_toml(text: str) -> Any:
    """What `tomllib` makes of a text whose keys it does not need minutes for."""
    if len(text) > MOST_TOML_BYTES or any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise ValueError(f"more than {MOST_TOML_BYTES} bytes, or a line with more than {MOST_DOTS} dots")
    return tomllib.loads(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; readers do not agree on which of two equal keys counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found
