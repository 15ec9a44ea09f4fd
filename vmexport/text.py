"""Text from elsewhere (labels, metadata, names of tensors, keys, files), made fit to be shown.

A terminal obeys some characters instead of showing them: escape sequences set its title or clear it, marks
of direction swap what is read, and a line end lets a file name speak in this program's voice. Whatever is
printed or drawn goes through here. Text without such characters stays as it is; nothing is changed where it
is stored.
"""

from __future__ import annotations

import re

_MARKS = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
"""Marks of direction, the two separators of lines, the byte order mark, halves of surrogate pairs (bytes of a
file name that are no UTF-8)."""

_COMMANDS = re.compile(f"[\x00-\x1f\x7f-\x9f{_MARKS}]")
_BEYOND_JSON = re.compile(f"[\x7f-\x9f{_MARKS}]")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What a cell begins with that a spreadsheet computes, after white space or in East Asian forms too."""

GUTTER = "     | "
"""Before every further line of a text of several lines, so that none of them looks like one of our own."""


def harmless(text: str) -> str:
    r"""One line that a terminal only shows: line ends and what else it would obey become `\n`, `\x1b`..."""
    return _COMMANDS.sub(_escape, text)


def harmless_lines(text: str) -> str:
    """The same for a text of several lines, such as a compiler's: further ones stand behind a `GUTTER`."""
    return f"\n{GUTTER}".join(harmless(line.expandtabs()) for line in _LINE_ENDS.split(text.rstrip()))


def harmless_json(document: str) -> str:
    r"""JSON that means the same and that a terminal only shows: in its strings `\u` escapes are letters."""
    return _BEYOND_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def drawn(text: str, longest: int = 1000) -> str:
    r"""One line of a bearable length for matplotlib, which takes what is between two `$` for mathematics."""
    shown = harmless(text)
    return (shown if len(shown) <= longest else f"{shown[: longest - 1]}…").replace("$", r"\$")


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would compute a cell with this text, and not show it."""
    return text.startswith(_FORMULA)


def to_cell(text: str) -> str:
    """A text as a cell of a CSV file that no spreadsheet computes: formulas get a `'` before them.

    So does what begins with `'`, so that `from_cell` knows. Cells of numbers are written as they are.
    """
    return f"'{text}" if is_formula(text) or text.startswith("'") else text


def from_cell(cell: str) -> str:
    """The reverse of `to_cell`."""
    return cell.removeprefix("'")


def _escape(found: re.Match[str]) -> str:
    """The character as Python would write it in a string."""
    return found[0].encode("unicode_escape").decode("ascii")
