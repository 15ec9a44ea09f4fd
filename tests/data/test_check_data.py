"""Examining data sets: every damaged file is named, none else, and the rest is summed up."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path
from typing import Any

import pytest
from films import film
from sets import KINDS, put, spoil

from vmexport.data import VideoIndex, check_data, open_index
from vmexport.data.check import Range
from vmexport.data.check_one import Examined, Examiner
from vmexport.errors import UsageError


@pytest.fixture
def index(tmp_path: Path, small_film: Path) -> VideoIndex:
    put(tmp_path, [f"{name}/{item}.mp4" for name in ("jump", "run") for item in range(5)], small_film)
    return open_index(tmp_path, "all")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_good_data_set(index: VideoIndex, workers: int) -> None:
    seen: list[tuple[str, int, int]] = []
    report = check_data(index, workers=workers, progress=lambda *step: seen.append(step))
    assert report.passed
    assert report.frames == Range(12, 12, 12)
    assert report.fps == Range(25, 25, 25)
    assert report.shorter_side == Range(48, 48, 48)
    assert report.sizes == {"64x48": 10}
    assert report.codecs == {"h264": 10}
    assert report.classes == {"jump": 5, "run": 5}
    assert report.duration_s == pytest.approx(10 * 12 / 25)
    assert [done for _, done, _ in seen] == list(range(1, 11))


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_files_are_named_with_reasons(index: VideoIndex, workers: int) -> None:
    for item, kind in enumerate(KINDS):
        spoil(index.samples[item].path, kind)
    report = check_data(index, workers=workers)
    assert not report.passed
    assert [bad.path for bad in report.bad] == [sample.path for sample in index.samples[: len(KINDS)]]
    assert all(str(bad.path) in bad.what for bad in report.bad)
    assert [bad.class_name for bad in report.bad] == ["jump"] * 5 + ["run"]
    assert report.classes == {"jump": 0, "run": 4}
    assert report.frames == Range(12, 12, 12)


def test_quick_sees_the_ends_only(index: VideoIndex) -> None:
    spoil(index.samples[0].path, "cut")
    assert len(check_data(index, quick=True).bad) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_header_that_promises_too_much_is_a_note(tmp_path: Path, workers: int) -> None:
    for name in ("jump", "run"):
        (tmp_path / name).mkdir()
    path = film(tmp_path / "jump" / "long.mkv", 60)
    content = path.read_bytes()
    at = content.index(b"\x44\x89\x88") + 3  # Duration, a float of eight bytes, in milliseconds
    path.write_bytes(content[:at] + struct.pack(">d", 9000) + content[at + 8 :])
    film(tmp_path / "run" / "good.mkv", 60)
    report = check_data(open_index(tmp_path, "all"), workers=workers)
    assert report.passed
    assert report.frames == Range(60, 60, 60)
    assert [note for note in report.notes if str(path) in note and "promises 9.00 s" in note]


def test_nothing_good_at_all(index: VideoIndex) -> None:
    for sample in index.samples:
        spoil(sample.path, "text")
    report = check_data(index)
    assert report.frames is None
    assert report.sizes == {}
    assert len(report.bad) == 10


def test_a_process_that_dies_condemns_its_file_only(index: VideoIndex) -> None:
    paths = [sample.path for sample in index.samples]
    with Examiner() as examiner:
        assert examiner.examine(paths[0], False).what == ""
        process: Any = examiner._process
        os.kill(process.pid, signal.SIGSTOP)  # it cannot answer any more ...
        os.kill(process.pid, signal.SIGKILL)
        died = examiner.examine(paths[1], False)
        assert (
            died.what == "" or "takes the decoder down" in died.what
        )  # ... noticed before or after the order
        assert examiner.examine(paths[2], False).frames == 12
    assert examiner.examine(paths[3], False) == Examined("examination was interrupted")


def test_workers_that_cannot_be(index: VideoIndex) -> None:
    with pytest.raises(UsageError):
        check_data(index, workers=-1)
