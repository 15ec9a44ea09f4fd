"""A data set written down is the same data set when it is opened again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sets import put, ssv2, write

from vmexport.data import VideoIndex, open_index, open_parts, write_index
from vmexport.errors import InputError, UsageError


@pytest.fixture
def something(tmp_path: Path, small_film: Path) -> Path:
    templates = {1: "Moving [something] up", 2: "Moving [something] down"}
    labels = ("Moving something down", "Moving something up", "Never seen")
    return ssv2(tmp_path / "ssv2", small_film, {"train": templates, "validation": {3: templates[2]}}, labels)


def content(index: VideoIndex) -> object:
    """What has to survive."""
    return [(s.path.resolve(), s.label) for s in index.samples], index.classes


def test_one_json_file_holds_everything(something: Path) -> None:
    out = something.parent / "index.json"
    report = write_index(open_parts(something), out)
    assert (report.layout, report.videos, report.classes) == ("ssv2", {"train": 2, "val": 1}, 3)
    for split in ("train", "val", "all"):
        assert content(open_index(out, split)) == content(open_index(something, split))
    assert open_index(out).directional
    assert json.loads(out.read_text())["parts"]["train"][0][0].startswith("ssv2/")


def test_a_folder_moves_with_its_index(something: Path) -> None:
    write_index(open_parts(something), something / "index.json")
    moved = something.rename(something.parent / "moved")
    assert all(sample.path.is_file() for sample in open_index(moved / "index.json").samples)


def test_lists_in_a_folder(something: Path) -> None:
    report = write_index(open_parts(something), something.parent / "lists")
    assert [file.name for file in report.files] == ["train.csv", "val.csv", "labels.txt"]
    for split in ("train", "val"):
        assert content(open_index(something.parent / "lists", split)) == content(open_index(something, split))


def test_one_list(something: Path) -> None:
    out = something.parent / "val.csv"
    with pytest.raises(UsageError, match="one part"):
        write_index(open_parts(something), out)
    write_index({"val": open_index(something, "val")}, out)
    assert out.read_text() == "ssv2/20bn-something-something-v2/3.webm 0\n"


def test_undivided_folders_are_written_divided(tmp_path: Path, small_film: Path) -> None:
    put(tmp_path / "set", [f"{name}/{item} x.mp4" for name in "ab" for item in range(5)], small_film)
    write_index(open_parts(tmp_path / "set"), tmp_path / "lists")
    for split in ("train", "val"):
        assert content(open_index(tmp_path / "lists", split)) == content(open_index(tmp_path / "set", split))


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path, small_film: Path) -> None:
    put(tmp_path / "set", ["a/1\n.mp4", "b/2.mp4"], small_film)
    parts = {"all": open_index(tmp_path / "set", "all")}
    with pytest.raises(InputError, match="a list cannot hold"):
        write_index(parts, tmp_path / "all.csv")
    assert not (tmp_path / "all.csv").exists()
    with pytest.raises(UsageError, match=r"\.json, \.csv or a folder"):
        write_index(parts, tmp_path / "index.xml")
    write(tmp_path / "labels.txt", "other\n")
    with pytest.raises(InputError, match="names other classes"):
        write_index({"all": open_index(tmp_path / "set", "all")}, tmp_path / "all.csv")


START = '{"format": "vmexport data index 1", "classes": ["a"], "directional": false, "parts": '


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "{",
        '{"format": "vmexport data index 2"}',
        '{"format": "vmexport data index 1"}',
        START + '{"x": []}}',
        START + '{"val": [["v", true]]}}',
        START + '{"val": [["v"]]}}',
        START + '{"val": [["v", 5]]}}',
    ],
)
def test_damaged_indices_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        open_index(write(tmp_path / "index.json", text), "val")


def test_a_file_in_the_place_of_the_folder(something: Path) -> None:
    (something.parent / "file").touch()
    for out in (something.parent / "file", something.parent / "file" / "below"):
        with pytest.raises(InputError, match="is a file, not a folder"):
            write_index(open_parts(something), out)


def test_the_lists_of_the_data_set_itself_are_not_written_over(tmp_path: Path, small_film: Path) -> None:
    names = [f"{number}.mp4" for number in range(4)]
    put(tmp_path / "kin", names, small_film)
    lines = [f"{name} {label % 2}" for label, name in enumerate(names)]
    for part in ("train", "val"):
        write(tmp_path / "kin" / f"{part}.csv", "".join(f"{line}\n" for line in lines))
    before = (tmp_path / "kin" / "val.csv").read_bytes()
    for out in ("kin", "kin/train.csv"):
        parts = {"train": open_index(tmp_path / "kin", "train"), "val": open_index(tmp_path / "kin", "val")}
        chosen = parts if out == "kin" else {"train": parts["train"]}
        with pytest.raises(InputError, match="is what the data set is read from"):
            write_index(chosen, tmp_path / out)
    assert (tmp_path / "kin" / "val.csv").read_bytes() == before
    assert not (tmp_path / "kin" / "labels.txt").exists()
