"""Text files of data sets, from whatever system: byte order marks, line ends, and what cannot be read."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

from vmexport.documents import parse_json
from vmexport.errors import InputError
from vmexport.opening import read_bytes

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
"""Byte order marks; PowerShell writes UTF-16 by itself."""

LARGEST_TEXT_BYTES = 128 << 20
"""Of one list."""


def read_text(path: Path) -> str:
    """The whole text, without a byte order mark.

    Raises:
        InputError: missing, unreadable, too large, or no UTF-8 text (UTF-16 with a byte order mark is read
            too).
    """
    content = read_bytes(path, LARGEST_TEXT_BYTES)
    mark, encoding = next(((m, e) for m, e in MARKS if content.startswith(m)), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path} is not a text in UTF-8", f"line {line} holds bytes that are none", f"file {path}"
        ) from error
    if "\0" in text:
        fix = f"iconv -f utf-16le -t utf-8 {path}   (if it is UTF-16)"
        raise InputError(f"{path} is not a text in UTF-8", "it holds zero bytes", fix)
    return text


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Lines that are not blank, with their numbers, without spaces at their ends.

    Only line ends divide lines: other separators may stand in file names.

    Raises:
        InputError: as `read_text`.
    """
    lines = re.split(r"\r\n|\n|\r", read_text(path))
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        InputError: as `read_text`, or no JSON.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON", str(error), "download or copy it again") from error
