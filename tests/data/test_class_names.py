"""Lists of class names, in the forms that data sets and other tools write them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vmexport.data.formats.classes import read_classes
from vmexport.errors import InputError

NAMES = ("drinking", "running", "walking, slowly")

TEXTS = {
    "names": "drinking\nrunning\nwalking, slowly\n",
    "a byte order mark and Windows' line ends": "\ufeffdrinking\r\nrunning\r\nwalking, slowly\r\n",
    "no line end at the end": "drinking\nrunning\nwalking, slowly",
    "blank lines": "\ndrinking\n\nrunning\nwalking, slowly\n\n",
    "numbers first": "0 drinking\n1 running\n2 walking, slowly\n",
    "numbers from one": "1 drinking\n2 running\n3 walking, slowly\n",
    "numbers first, in another order": "2 walking, slowly\n0 drinking\n1 running\n",
    "numbers last": "drinking 0\nrunning 1\nwalking, slowly 2\n",
    "numbers last, tabs": "drinking\t0\nrunning\t1\nwalking, slowly\t2\n",
    "CSV with headings": 'id,name\n0,drinking\n1,running\n2,"walking, slowly"\n',
    "CSV, names first": 'name,id\ndrinking,0\nrunning,1\n"walking, slowly",2\n',
    "colons": "0: drinking\n1: running\n2: walking, slowly\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("kind", TEXTS)
def test_names_of_a_text_file(tmp_path: Path, kind: str, encoding: str) -> None:
    path = tmp_path / "labels.txt"
    text = TEXTS[kind] if encoding == "utf-8" else TEXTS[kind].lstrip("\ufeff")  # utf-16 writes a mark
    path.write_bytes(text.encode(encoding))
    assert read_classes(path) == NAMES


@pytest.mark.parametrize(
    "value",
    [
        list(NAMES),
        {name: number for number, name in enumerate(NAMES)},
        {name: str(number) for number, name in enumerate(NAMES)},
        {str(number): name for number, name in enumerate(NAMES)},
    ],
    ids=["list", "name to number", "name to number as text", "number to name"],
)
def test_names_of_a_json_file(tmp_path: Path, value: object) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    assert read_classes(path) == NAMES


def test_names_may_end_in_numbers(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("class 0\nclass 1\nclass 2\n", encoding="utf-8")
    assert read_classes(path) == ("class 0", "class 1", "class 2")
    path.write_text("2 people\n3 people\n", encoding="utf-8")
    assert read_classes(path) == ("2 people", "3 people")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", b"run\nwalk\nrun\n", "'run' stands there twice"),
        ("a.txt", b"0 run\n1 walk\n2 run\n", "'run' stands there twice"),
        ("a.txt", b"\n\n", "it is empty"),
        ("a.txt", "run\nwalk\n".encode("utf-16-le"), "zero bytes"),
        ("a.txt", b"caf\xe9\n", "line 1 holds bytes"),
        ("a.json", b'{"0": "run", "1": "run"}', "'run' stands there twice"),
        ("a.json", b'{"0": "run", "2": "walk"}', "not 0 to 1"),
        ("a.json", b'{"run": 0, "walk": 0}', "not 0 to 1"),
        ("a.json", b'"run"', "expected a list of names"),
        ("a.json", b"[1, 2]", "expected a list of names"),
        ("a.json", b'{"run": [0]}', "gives a class no number"),
    ],
)
def test_what_is_no_list_of_class_names(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_classes(path)
    assert re.search(why, str(caught.value))


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_classes(tmp_path / "none.txt")
