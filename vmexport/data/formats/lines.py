"""Lines of a list: a path and a label, whatever stands between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vmexport.data.formats.files import is_video
from vmexport.data.formats.text import read_lines
from vmexport.errors import InputError

SEPARATORS = ("\t", ",", ";", " ")
"""What may stand between path and label, tried in this order; paths may hold the later ones."""

MOST_DIGITS = 18
"""Of a label: what is longer is no number of a class, and may be longer than `int` takes."""

ANNOTATION_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
"""Columns of the lists that Kinetics itself publishes."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list.

    Attributes:
        name: the path, as written.
        label: the label, as written: a number, or a class name.
        where: `train.csv:17`.
    """

    name: str
    label: str
    where: str


def read_list(path: Path) -> list[Line]:
    """Read `path label` lines (SlowFast's form of Kinetics), or Kinetics' own annotations.

    The separator is the one that makes every line end in a number; class names instead of numbers need a tab,
    a comma or a semicolon. A first line of headings is skipped.

    A number of frames between path and label (MMAction, TSM) is passed over.

    Raises:
        InputError: no text, lines without a label, or a list of extracted frames.
    """
    lines = read_lines(path)
    if lines and _cells(lines[0][1], ",")[: len(ANNOTATION_COLUMNS)] == list(ANNOTATION_COLUMNS):
        return [_annotation(line, f"{path.name}:{number}") for number, line in lines[1:]]
    separator, headed = _separator(lines, path)
    found = [_line(line, separator, f"{path.name}:{number}") for number, line in lines[int(headed) :]]
    found = _without_frame_counts(found, separator)
    if found and is_video(Path(found[-1].label)):
        raise InputError(
            f"{found[-1].where} ends in a video, not in a label: {found[-1].label!r}",
            "expected the path first and the label last",
            f"swap the columns of {path}",
        )
    return found


def _without_frame_counts(lines: list[Line], separator: str) -> list[Line]:
    """Lines of `path frames label`, as MMAction and TSM write them, without the number of frames.

    Raises:
        InputError: the paths are folders of extracted pictures.
    """
    split = [line.name.rpartition(separator) for line in lines]
    if not lines or not all(name.strip() and _is_label(frames, True) for name, _, frames in split):
        return lines
    shorter = [replace(line, name=name.strip()) for line, (name, _, _) in zip(lines, split, strict=True)]
    if any(is_video(Path(line.name)) for line in shorter):
        return shorter if all(is_video(Path(line.name)) for line in shorter) else lines
    if any(is_video(Path(line.name)) for line in lines):
        return lines
    raise InputError(
        f"{lines[0].where} names a folder of pictures, not a video: {shorter[0].name!r}",
        "a list of three columns (path, number of frames, label) is one of extracted frames, "
        "as MMAction and TSM write it; vmexport reads the videos themselves",
        "give the list of the videos (path label), or their class folders: --layout folder",
    )


def is_list(path: Path) -> bool:
    """Whether the first line of a file looks like one of a list of videos."""
    try:
        lines = read_lines(path)
        return bool(lines) and bool(_separator(lines[:2], path)[0])
    except InputError:
        return False


def _separator(lines: list[tuple[int, str]], path: Path) -> tuple[str, bool]:
    """The separator of a list, and whether its first line is a heading."""
    for numeric in (True, False):
        for separator in SEPARATORS if numeric else SEPARATORS[:-1]:
            split = [line.rpartition(separator) for _, line in lines]
            good = [bool(name.strip()) and _is_label(label, numeric) for name, _, label in split]
            if all(good):
                return separator, not numeric and _is_heading(split[0][2])
            if numeric and len(good) > 1 and all(good[1:]) and _is_heading(split[0][2]):
                return separator, True
    number, line = _first_bad(lines)
    raise InputError(
        f"{path.name}:{number} has no label: {line[:80]!r}",
        "expected a path and the number of a class, with a space, a comma or a tab between them",
        f"correct the line in {path}, or go by class folders: --layout folder",
    )


def _first_bad(lines: list[tuple[int, str]]) -> tuple[int, str]:
    """The first line that the separator which fits most lines does not fit."""

    def good(line: str, separator: str) -> bool:
        name, _, label = line.rpartition(separator)
        return bool(name.strip()) and _is_label(label, True)

    best = max(SEPARATORS, key=lambda separator: sum(good(line, separator) for _, line in lines))
    return next(((number, line) for number, line in lines if not good(line, best)), lines[0])


def _is_label(text: str, numeric: bool) -> bool:
    """Whether a text is a class number, or at least something."""
    text = text.strip().strip('"')
    if not numeric:
        return bool(text)
    digits = text.lstrip("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS


def _is_heading(text: str) -> bool:
    """Whether the last cell of a line is the heading of a column of labels."""
    return text.strip().strip('"').lower() in {"label", "labels", "class", "class_id", "target", "label_id"}


def _line(line: str, separator: str, where: str) -> Line:
    """One `path label` line; paths may be quoted, and written with backslashes."""
    name, _, label = line.rpartition(separator)
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('""', '"')
    if "\\" in name and "/" not in name:
        name = name.replace("\\", "/")
    return Line(name, label.strip().strip('"'), where)


def _annotation(line: str, where: str) -> Line:
    """One line of Kinetics' own lists, under the name that its videos are published with."""
    cells = _cells(line, ",")
    try:
        label, name = cells[0], f"{cells[1]}_{int(float(cells[2])):06d}_{int(float(cells[3])):06d}.mp4"
    except (IndexError, ValueError, OverflowError) as error:
        raise InputError(
            f"{where} is no annotation of Kinetics: {line[:80]!r}", f"expected {','.join(ANNOTATION_COLUMNS)}"
        ) from error
    if not label:
        raise InputError(f"{where} has no label", "Kinetics publishes its test list without", "--split val")
    return Line(f"{label}/{name}", label, where)


def _cells(line: str, separator: str) -> list[str]:
    """Cells of a line, without quotes."""
    return [cell.strip().strip('"') for cell in line.split(separator)]
