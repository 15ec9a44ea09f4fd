"""Untrusted JSON and TOML: what comes through is sane, and all else is one line of reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vmexport.documents import MOST_BYTES, MOST_TOML_BYTES, fit, parse_json, parse_toml, read_json, read_toml
from vmexport.errors import InputError

HOSTILE_JSON: dict[str, str | bytes] = {
    "nothing": "",
    "half": "{",
    "deep lists": "[" * 100_000,
    "deep whole lists": "[" * 65 + "]" * 65,
    "deep objects": '{"a":' * 100_000,
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "nan": "[NaN]",
    "infinity": '{"a": Infinity}',
    "minus infinity": '{"a": [-Infinity]}',
    "overflow": "[1e999]",
    "too large": '{"a": 9223372036854775808}',
    "too small": "[-9223372036854775809]",
    "many digits": "1" * 5_000,
    "a key twice": '{"a": 1, "a": 2}',
    "half a letter": '["\\ud800"]',
    "two values": "{} {}",
}
HOSTILE_TOML: dict[str, str | bytes] = {
    "half": "[a",
    "deep lists": "a = " + "[" * 100_000,
    "deep whole lists": "a = " + "[" * 65 + "]" * 65,
    "deep tables": "a = " + "{a = " * 50_000,
    "dotted": "a" + ".a" * 100_000 + " = 1",
    "no UTF-8": b'a = "\xff"',
    "nan": "a = nan",
    "infinity": "a = [-inf]",
    "too large": "a = 9223372036854775808",
    "many digits": "a = " + "1" * 5_000,
    "a key twice": "a = 1\na = 2",
}


@pytest.mark.parametrize("case", HOSTILE_JSON)
def test_json_that_is_refused(case: str, tmp_path: Path) -> None:
    content = HOSTILE_JSON[case]
    (tmp_path / "a.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_json(content)
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("case", HOSTILE_TOML)
def test_toml_that_is_refused(case: str, tmp_path: Path) -> None:
    content = HOSTILE_TOML[case]
    (tmp_path / "a.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_toml(content)
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read_toml(tmp_path / "a.toml")


def test_what_is_sane_comes_through() -> None:
    value = {"a": [1, -(2**63), 2**63 - 1, 0.5, True, None, "é\udcff\n"], "b": {"c": {}}}
    assert parse_json(json.dumps(value)) == parse_json(json.dumps(value).encode()) == value
    assert parse_json("[" * 64 + "]" * 64)
    assert parse_toml("a = [1, 2.5]\n[b]\nc = 'd'\n") == {"a": [1, 2.5], "b": {"c": "d"}}


def test_a_document_of_absurd_size(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    for read in (read_json, read_toml):
        assert MOST_TOML_BYTES < MOST_BYTES
        with pytest.raises(InputError, match="too large"):
            read(tmp_path / "a")


@dataclass(frozen=True)
class Inner:
    numbers: tuple[float, ...]
    word: str = "a"


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    inner: Inner
    count: int = 0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "it should be object, got array"),
        ({}, "it lacks 'inner'"),
        ({"inner": {}}, "it lacks 'numbers' in inner"),
        ({"inner": {"numbers": [1, True]}}, r"inner.numbers\[1\] should be float, got bool"),
        ({"inner": {"numbers": "1"}}, "inner.numbers should be array, got str"),
        ({"inner": {"numbers": []}, "count": 1.0}, "count should be int, got float"),
        ({"inner": {"numbers": []}, "count": "1"}, "count should be int, got str"),
        ({"inner": {"numbers": []}, "more": 1}, "unknown entry 'more'"),
    ],
)
def test_values_of_another_shape(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(value, Outer)


def test_values_that_fit() -> None:
    assert fit({"inner": {"numbers": [1, 2.5]}}, Outer) == Outer(Inner((1.0, 2.5)))
