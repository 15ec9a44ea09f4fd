"""Lists and class names as nobody writes them: read, or refused as bad input; never anything else."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hostile import few, refused_or
from hypothesis import example, given
from hypothesis import strategies as st

from vmexport.data import open_index
from vmexport.data.formats.classes import read_classes
from vmexport.data.formats.lines import read_list

NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "007",
        "1.5",
        "inf",
        "-inf",
        "nan",
        "1e400",
        str(2**63),
        "9" * 5000,
        "٣",
        "²",
        "0x10",
        "--1",
        "",
    ]
)
PATHS = st.sampled_from(
    [
        "a.mp4",
        "/etc/passwd",
        "../a.mp4",
        "b c.mp4",
        "a.mp4/",
        ".",
        "",
        '"',
        '"a.mp4"',
        "C:\\a.mp4",
        "http://a/b.mp4",
    ]
)
ODD = st.text(st.characters(codec="utf-8"), max_size=8)
CELLS = st.one_of(
    PATHS, NUMBERS, ODD, st.sampled_from(["label", "youtube_id", "time_start", "time_end", "=1+1"])
)
SEPARATORS = st.sampled_from([" ", ",", "\t", ";", ", ", "  ", ""])
HEADINGS = st.sampled_from(["label,youtube_id,time_start,time_end,split", "id,name", "path label"])
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\x0b", "\u2028"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])


@st.composite
def texts(draw: Any) -> bytes:
    """Rows of cells, mostly of one kind, in some encoding; at times damaged."""
    separator, end, cells = draw(SEPARATORS), draw(ENDS), draw(st.integers(1, 4))
    row = st.lists(CELLS, min_size=cells, max_size=cells).map(separator.join)
    lines = draw(st.lists(row, max_size=6))
    if draw(st.booleans()):
        lines.insert(0, draw(HEADINGS))
    content: bytes = end.join(lines).encode(draw(ENCODINGS), "replace")
    if draw(st.booleans()):
        return content
    place = draw(st.integers(0, len(content)))
    damage: bytes = draw(st.binary(max_size=4))
    return content[:place] + damage + content[place:]


def deep(opening: bytes, depth: int) -> bytes:
    return opening * depth


WORDS = st.sampled_from(["index", "vmexport index 1", "train", "a.mp4", "format", "parts", "template", "id"])
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        ODD,
        WORDS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(ODD, inner, max_size=4)),
    max_leaves=12,
)
INDEX_FIELDS = {
    "format": st.one_of(st.just("vmexport index 1"), VALUES),
    "parts": st.one_of(st.fixed_dictionaries({"train": VALUES, "val": VALUES}), VALUES),
    "classes": st.one_of(st.lists(ODD, max_size=3), VALUES),
    "directional": VALUES,
}


def documents() -> st.SearchStrategy[bytes]:
    """JSON of any form, of the forms that are read, and what only looks like JSON."""
    whole = st.one_of(VALUES, st.fixed_dictionaries(INDEX_FIELDS), st.dictionaries(ODD, NUMBERS, max_size=4))
    written = whole.map(lambda value: json.dumps(value).encode())
    cut = st.tuples(written, st.integers(0, 40)).map(lambda both: both[0][: both[1]])
    return st.one_of(written, cut, st.binary(max_size=40))


@few
@given(texts())
@example(b"label,youtube_id,time_start,time_end\na,b,inf,0")
@example(b"label,youtube_id,time_start,time_end\na,b,1e400,nan")
@example(("a.mp4 " + "9" * 5000).encode())
@example(b"\xff\xfea")
def test_lists(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.csv").write_bytes(content)
        lines = refused_or(lambda: read_list(folder / "train.csv"), folder)
        for line in lines or ():
            assert line.label
            assert "\n" not in line.name + line.label
        refused_or(lambda: open_index(folder / "train.csv"), folder)


@few
@given(documents())
@example(deep(b"[", 100_000))
@example(deep(b'{"a":', 100_000))
@example(b'{"format": 1e999}')
@example(b'{"a": ' + b"9" * 5000 + b"}")
def test_lists_in_json(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("index.json", "something-something-v2-train.json", "something-something-v2-labels.json"):
            (folder / file).write_bytes(content)
        refused_or(lambda: open_index(folder / "index.json"), folder)
        refused_or(lambda: open_index(folder, layout="ssv2"), folder)


@few
@given(
    st.one_of(texts(), documents()), st.sampled_from(["labels.txt", "labels.json", "labels.JSON", "labels"])
)
@example(deep(b"[", 100_000), "labels.json")
@example(b'{"a": Infinity}', "labels.json")
@example(b'{"a": ' + b"9" * 5000 + b"}", "labels.json")
@example(b'{"\\ud800": 0}', "labels.json")
@example("٣ a\n".encode(), "labels.txt")
@example(b"9" * 5000 + b" a", "labels.txt")
@example(b"a" + b"," * 40_000 + b"x", "labels.txt")  # a form that was tried at every comma took minutes
@example(b"a" + b" " * 40_000 + b"x", "labels.txt")
@example(b'["a", "\\u001b]0;pwned\\u0007"]', "labels.json")
def test_class_names(content: bytes, file: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / file).write_bytes(content)
        names = refused_or(lambda: read_classes(folder / file), folder)
        if names is not None:
            assert names
            assert all(isinstance(one, str) for one in names)
            assert len(set(names)) == len(names)


@pytest.mark.parametrize("file", ["labels.txt", "labels.json"])
def test_many_class_names_take_no_time(file: str, tmp_path: Path) -> None:
    """Comparing each with each would take hours."""
    names = [f"class number {number} of many" for number in range(100_000)]
    text = json.dumps(names) if file.endswith("json") else "\n".join(names)
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert refused_or(lambda: read_classes(tmp_path / file), tmp_path) in (tuple(names), None)
