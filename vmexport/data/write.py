"""Writing a data set down as a list: one JSON file, or lists as SlowFast reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmexport.data.formats.index_file import index_text, portable
from vmexport.data.formats.text import LARGEST_TEXT_BYTES
from vmexport.data.index import VideoIndex
from vmexport.errors import InputError, UsageError
from vmexport.files import atomic_write, explain_write_error
from vmexport.opening import read_bytes
from vmexport.text import is_formula

LABELS = "labels.txt"


@dataclass(frozen=True)
class IndexReport:
    """What was written.

    Attributes:
        files: the files.
        layout: the format that the data set was read from.
        videos: number of videos in each part.
        classes: number of classes.
        notes: of the index.
    """

    files: tuple[Path, ...]
    layout: str
    videos: Mapping[str, int]
    classes: int
    notes: tuple[str, ...]


def write_index(parts: Mapping[str, VideoIndex], out: Path | str) -> IndexReport:
    """Write the parts of a data set.

    Args:
        parts: what `open_parts` gives.
        out: a `.json` file for all parts, a `.csv` file for a single one, or a folder for a list a part.
            Lists have the class names in `labels.txt` beside them. Videos below the folder of the list are
            named relative to it, others absolutely.

    Raises:
        UsageError: another ending, or several parts for one `.csv` file.
        InputError: the folder is missing or not writable, the data set's own list lies there, `labels.txt`
            there names other classes, or a file name does not fit into a line of UTF-8.
        BuildError: the disk is full.
    """
    out = Path(out)
    if out.suffix == ".json":
        _spare_sources(parts, out)
        files = _write_json(parts, out)
    elif out.suffix == ".csv":
        if len(parts) != 1:
            raise UsageError(
                "one .csv file holds one part",
                f"the data set has {', '.join(parts)}",
                f"name one (--split train), or a folder: -o {out.with_suffix('')}",
            )
        files = _write_lists({out: next(iter(parts.values()))})
    elif out.suffix == "":
        _make_folder(out)
        files = _write_lists({out / f"{part}.csv": index for part, index in parts.items()})
    else:
        raise UsageError(
            f"an index is not written to {out.name}", "expected .json, .csv or a folder", "-o index.json"
        )
    first = next(iter(parts.values()))
    notes = tuple(dict.fromkeys(note for index in parts.values() for note in index.notes))
    videos = {part: len(index) for part, index in parts.items()}
    return IndexReport(tuple(files), first.layout, videos, first.num_classes, notes)


def _spare_sources(parts: Mapping[str, VideoIndex], target: Path) -> None:
    """Refuse to write over a list that the data set is read from.

    Raises:
        InputError: `target` is one.
    """
    sources = {source.resolve() for index in parts.values() for source in index.sources}
    if target.resolve() in sources:
        raise InputError(
            f"{target} is what the data set is read from",
            "nothing was changed",
            "choose another place with -o",
        )


def _make_folder(out: Path) -> None:
    """Make the folder of the lists.

    Raises:
        InputError: a file lies in its place or above it, or the place is not writable.
        BuildError: the disk is full.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(error, out) from error


def _write_json(parts: Mapping[str, VideoIndex], out: Path) -> list[Path]:
    """All parts in one file."""
    first = next(iter(parts.values()))
    entries = {part: [(s.path, s.label) for s in index.samples] for part, index in parts.items()}
    text = index_text(first.classes, first.directional, entries, out.parent)
    with atomic_write(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return [out]


def _write_lists(lists: Mapping[Path, VideoIndex]) -> list[Path]:
    """A list a part, then the class names."""
    labels = next(iter(lists)).parent / LABELS
    names = _lines(next(iter(lists.values())).classes, "class name")
    if labels.exists() and read_bytes(labels, LARGEST_TEXT_BYTES) != names.encode():
        raise InputError(
            f"{labels} names other classes", "the lists would not fit to it", "write to another folder"
        )
    for path, index in lists.items():
        _spare_sources({"": index}, path)
    for path, index in lists.items():
        text = _lines([f"{_cell(s.path, path.parent)} {s.label}" for s in index.samples], "file name")
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    with atomic_write(labels) as temporary:
        temporary.write_text(names, encoding="utf-8")
    return [*lists, labels]


def _cell(video: Path, folder: Path) -> str:
    """A path in a list, which may be opened in a spreadsheet: `./=1` is the file `=1`, and no formula."""
    name = portable(video, folder)
    return f"./{name}" if is_formula(name) else name


def _lines(lines: Sequence[str], kind: str) -> str:
    """Lines of a file; a name may hold no line end, and no bytes that are not UTF-8."""
    for line in lines:
        if "\n" in line or "\r" in line or line != line.encode("utf-8", "replace").decode("utf-8"):
            raise InputError(f"a list cannot hold the {kind} {line!r}", "", "use -o index.json")
    return "".join(f"{line}\n" for line in lines)
