"""Foreign text is shown, never obeyed."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from vmexport.errors import InputError, brief
from vmexport.text import (
    GUTTER,
    drawn,
    from_cell,
    harmless,
    harmless_json,
    harmless_lines,
    is_formula,
    to_cell,
)

OBEYED = [
    chr(code)
    for code in range(sys.maxunicode + 1)
    if unicodedata.category(chr(code)) in ("Cc", "Zl", "Zp", "Cs")
    or unicodedata.bidirectional(chr(code)) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
]
"""Every control character, separator of lines, lone surrogate and mark of direction that Unicode has."""


def test_no_character_that_is_obeyed_gets_through() -> None:
    shown = harmless("".join(OBEYED))
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize(
    "text", ["", "Applying lipstick", "弓道", "naïve café", "C:\\new\\temp", "🤸 [bold]", "a\u200db"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == harmless_lines(text) == text
    assert harmless(harmless(f"{text}\x1b")) == harmless(f"{text}\x1b")


def test_escapes_are_visible_and_say_what_stood_there() -> None:
    assert harmless("a\x1b[2Jb\nc\x9d\u202e\udcff\t\x7f") == r"a\x1b[2Jb\nc\x9d\u202e\udcff\t\x7f"


def test_further_lines_stand_behind_a_gutter() -> None:
    assert harmless_lines("one\ntwo\r\n  fix: rm\x1b\n") == f"one\n{GUTTER}two\n{GUTTER}  fix: rm\\x1b"


def test_json_means_the_same() -> None:
    value = [{f"key {one}": f"é弓{one}"} for one in OBEYED]
    document = harmless_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(document) == value
    assert not set(OBEYED) - {"\n"} & set(document)
    document.encode("utf-8")


def test_an_error_cannot_be_given_another_fix() -> None:
    error = InputError("cannot read x\n  fix: rm -r ~", "no\nfix: rm", "ls x\nwhy: y")
    assert [line.split(":")[0] for line in str(error).splitlines() if not line.startswith(GUTTER)] == [
        r"cannot read x\n  fix",
        "why",
        "fix",
    ]
    assert brief(error) == "cannot read x\n  fix: rm -r ~: no\nfix: rm"
    assert brief(ValueError("\n first\nsecond")) == "first"
    assert brief(ValueError()) == "ValueError"


def test_dollars_are_drawn_as_dollars() -> None:
    cbook = pytest.importorskip("matplotlib.cbook")
    shown = drawn("$x$ and \x1b$")
    assert not cbook.is_math_text(shown)
    assert shown.replace(r"\$", "$") == r"$x$ and \x1b$"  # as matplotlib does where there is no mathematics


@pytest.mark.parametrize(
    "name",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1",
        "'quoted'",
        "'=1",
        "",
        "jump",
        "a=1",
        "a;=1",
    ],
)
def test_no_cell_is_a_formula_and_the_name_comes_back(name: str) -> None:
    cell = to_cell(name)
    assert not is_formula(cell)
    assert from_cell(cell) == name
    assert cell in (name, f"'{name}")
