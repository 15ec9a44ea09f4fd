"""The motion data set: reproducible, complete or absent, and solvable by the order of frames alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sets import counts

from vmexport.data import SynthSettings, open_index, synthesize
from vmexport.data.synth.motion import MOTIONS, motions
from vmexport.data.synth.scene import CELLS, draw_scene, film
from vmexport.data.synth.texture import HUES, hue
from vmexport.errors import InputError, UsageError
from vmexport.video import probe, read_frames

TINY = SynthSettings(clips=16, classes=4, seed=7, size=32, frames=8, validation=0.5)
LAYOUTS = ("folder", "kinetics", "ssv2", "hmdb51")


def with_layout(layout: str) -> SynthSettings:
    return SynthSettings(16, 4, 7, 32, 8, validation=0.5, layout=layout)


def digests(root: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its bytes."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", TINY)
    synthesize(tmp_path / "b", TINY)
    synthesize(tmp_path / "c", SynthSettings(16, 4, 8, 32, 8, validation=0.5))
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    assert first.keys() == other.keys()
    assert not any(first[name] == other[name] for name in first)


def test_files_are_h264_of_the_given_size(tmp_path: Path) -> None:
    report = synthesize(tmp_path / "set", TINY)
    assert (report.training, report.validation) == (8, 8)
    for sample in open_index(tmp_path / "set", "all").samples:
        info = probe(sample.path)
        assert (info.codec, info.width, info.height, info.frames, info.fps) == ("h264", 32, 32, 8, 25)
    assert report.size_bytes == sum(path.stat().st_size for path in (tmp_path / "set").rglob("*.mp4"))


def test_every_layout_is_the_same_data_set(tmp_path: Path) -> None:
    labels: dict[str, list[tuple[str, int]]] = {}
    for layout in LAYOUTS:
        synthesize(tmp_path / layout, with_layout(layout))
        for split in ("train", "val"):
            index = open_index(tmp_path / layout, split)
            assert (index.layout, counts(index)) == (layout, (2, 2, 2, 2))
            assert index.directional
            hashed = [(hashlib.sha256(s.path.read_bytes()).hexdigest(), s.label) for s in index.samples]
            assert labels.setdefault(split, sorted(hashed)) == sorted(hashed)
    assert not {film for film, _ in labels["train"]} & {film for film, _ in labels["val"]}


def test_more_clips_keep_the_earlier_ones(tmp_path: Path) -> None:
    synthesize(tmp_path / "few", TINY)
    synthesize(tmp_path / "many", SynthSettings(32, 4, 7, 32, 8, validation=0.5))
    many = set(digests(tmp_path / "many").values())
    films = list((tmp_path / "few").rglob("*.mp4"))
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() in many for path in films)


def test_what_was_made_is_on_record(tmp_path: Path) -> None:
    synthesize(tmp_path / "set", TINY)
    record = json.loads((tmp_path / "set" / "synthetic.json").read_text())
    assert record["settings"]["seed"] == 7
    assert record["classes"] == [motion.name for motion in motions(4)]


# All or nothing


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(step: str, done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "set", TINY, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    synthesize(tmp_path / "set", TINY)
    before = digests(tmp_path / "set")
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "set", with_layout("ssv2"), force=True, progress=interrupt)
    assert digests(tmp_path / "set") == before
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vmexport.data.synth.make.write_film", full)
    with pytest.raises(Exception, match="the disk is full"):
        synthesize(tmp_path / "set", TINY)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_by_force_and_only_if_made_here(tmp_path: Path) -> None:
    synthesize(tmp_path / "set", TINY)
    with pytest.raises(UsageError, match="already there"):
        synthesize(tmp_path / "set", TINY)
    synthesize(tmp_path / "set", with_layout("kinetics"), force=True)
    assert open_index(tmp_path / "set").layout == "kinetics"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises((UsageError, InputError)):
            synthesize(mine, TINY, force=force)
    assert (mine / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    synthesize(tmp_path / "empty", TINY)
    synthesize(tmp_path / "new" / "deeper", TINY)


def test_what_a_set_does_not_name_is_never_lost(tmp_path: Path) -> None:
    root = tmp_path / "set"
    synthesize(root, with_layout("kinetics"))
    record = json.loads((root / "synthetic.json").read_text())
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "000001.mp4").write_text("another's")

    def files(folder: Path) -> None:
        (folder / "videos").rename(outside / "videos")
        (folder / "videos").symlink_to(outside / "videos")

    for add, named in (
        (lambda folder: (folder / "notes.txt").write_text("mine"), "notes.txt"),
        (lambda folder: (folder / "videos" / "mine.mp4").touch(), "videos/mine.mp4"),
        (lambda folder: (folder / "empty").mkdir(), "empty"),
        (lambda folder: (folder / "link").symlink_to(outside), "link"),
        (files, "videos"),
    ):
        shutil.copytree(root, tmp_path / "copy")
        add(tmp_path / "copy")
        before = digests(tmp_path / "copy"), digests(outside)
        with pytest.raises(InputError, match="holds more than the data set") as caught:
            synthesize(tmp_path / "copy", TINY, force=True)
        assert f"does not name {named};" in caught.value.why
        assert (digests(tmp_path / "copy"), digests(outside)) == before
        shutil.rmtree(tmp_path / "copy")
    for text in ("{}", "", "[]", "[" * 100_000, json.dumps({**record, "made_by": "me"}), '{"files": "all"}'):
        (root / "synthetic.json").write_text(text)
        with pytest.raises(InputError, match="not a data set made by this command"):
            synthesize(root, TINY, force=True)
    names = [*record["files"], "../outside/000001.mp4", str(outside / "000001.mp4"), "gone/film.mp4"]
    (root / "synthetic.json").write_text(json.dumps({**record, "files": names}))
    synthesize(root, TINY, force=True)
    assert (outside / "000001.mp4").read_text() == "another's"
    assert open_index(root).layout == "folder"


def test_what_is_added_while_a_set_is_made_comes_back(tmp_path: Path) -> None:
    synthesize(tmp_path / "set", TINY)

    def add(step: str, done: int, total: int) -> None:
        (tmp_path / "set" / "notes.txt").write_text("mine")

    before = digests(tmp_path / "set")
    with pytest.raises(InputError, match="holds more"):
        synthesize(tmp_path / "set", with_layout("ssv2"), force=True, progress=add)
    assert (tmp_path / "set" / "notes.txt").read_text() == "mine"
    (tmp_path / "set" / "notes.txt").unlink()
    assert digests(tmp_path / "set") == before
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


def test_neither_a_link_nor_the_working_directory_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesize(tmp_path / "set", TINY)
    before = digests(tmp_path / "set")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    (tmp_path / "nowhere").symlink_to(tmp_path / "nothing")
    for name in ("link", "nowhere"):
        with pytest.raises(InputError, match="no folder"):
            synthesize(tmp_path / name, TINY, force=True)
    monkeypatch.chdir(tmp_path / "set" / "train")
    for here in (".", "..", str(tmp_path / "set")):
        with pytest.raises(UsageError, match="working directory"):
            synthesize(here, TINY, force=True)
    assert digests(tmp_path / "set") == before


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"clips": 8}, "8 clips are too few"),
        ({"classes": 1}, "no 1 classes"),
        ({"classes": 17}, "2 to 16"),
        ({"size": 113}, "odd"),
        ({"size": 16}, "size is out of range"),
        ({"frames": 4}, "frames is out of range"),
        ({"seed": -1}, "seed is out of range"),
        ({"fps": 0}, "fps is out of range"),
        ({"validation": 1.0}, "validation is out of range"),
        ({"validation": float("nan")}, "validation is out of range"),
        ({"layout": "ucf101"}, "unknown layout"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        SynthSettings(**settings)  # type: ignore[arg-type]
    assert caught.value.fix


# What the classes are


@pytest.mark.parametrize("motion", MOTIONS, ids=lambda motion: str(motion.name))
def test_played_backwards_a_class_is_its_reversal_picture_by_picture(motion: object) -> None:
    chosen = next(one for one in MOTIONS if one is motion)
    assert chosen.reversal != chosen
    assert chosen.reversal in MOTIONS
    scene = draw_scene(32, np.random.default_rng(1), held_out=False)
    forwards, backwards = (np.stack(list(film(scene, one, 12))) for one in (chosen, chosen.reversal))
    assert np.array_equal(forwards[::-1], backwards)
    assert not np.array_equal(forwards, backwards)


def test_the_shape_moves_as_the_name_says() -> None:
    scene = draw_scene(64, np.random.default_rng(3), held_out=False)
    signs = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
    for motion in motions(8):
        moves = displacements(np.stack(list(film(scene, motion, 33))))
        for quarter, name in ((moves[1:5], motion.first), (moves[11:13], motion.second)):
            assert np.sign(quarter.sum(axis=0).round()).tolist() == list(signs[name]), motion.name


def test_validation_has_colours_and_places_that_training_never_has() -> None:
    random = np.random.default_rng(0)
    for held_out in (False, True):
        bands = {int(hue(random, held_out) * HUES) % 2 for _ in range(200)}
        assert bands == {int(held_out)}
        middles = [draw_scene(32, random, held_out).middle * CELLS / 32 for _ in range(100)]
        assert {int(x) % 2 ^ int(y) % 2 for x, y in middles} == {int(held_out)}


# What solves it, and what does not

Pictures = NDArray[np.uint8]
Features = Callable[[Pictures], NDArray[np.float64]]


@cache
def clips(held_out: bool, scenes: int) -> tuple[tuple[Pictures, ...], tuple[int, ...]]:
    """16 frames of every class of every scene, and their labels."""
    films, labels = [], []
    for number in range(scenes):
        scene = draw_scene(64, np.random.default_rng([1, held_out, number]), held_out)
        for label, motion in enumerate(motions(8)):
            films.append(np.stack(list(film(scene, motion, 32))[::2]))
            labels.append(label)
    return tuple(films), tuple(labels)


def accuracy(features: Features) -> float:
    """Of the nearest centroid, trained on one part and tested on the other."""
    (training, labels), (test, wanted) = clips(False, 40), clips(True, 24)
    known = np.stack([features(one).ravel() for one in training])
    centroids = np.stack([known[np.array(labels) == label].mean(axis=0) for label in range(8)])
    found = [np.linalg.norm(centroids - features(one).ravel(), axis=1).argmin() for one in test]
    return float(np.mean(np.array(found) == np.array(wanted)))


def small(pictures: Pictures) -> NDArray[np.float64]:
    """Brightness at 16 x 16 pixels, (T, 16, 16)."""
    grey = pictures.mean(axis=-1)
    return np.asarray(grey.reshape(len(grey), 16, 4, 16, 4).mean(axis=(2, 4)))


def displacements(pictures: Pictures) -> NDArray[np.float64]:
    """How far the bright shape moves from frame to frame, (T - 1, 2); the picture wraps around."""
    size = pictures.shape[1]
    bright = (pictures.max(axis=-1) > 0.52 * 255).astype(np.float64)
    turn = np.exp(2j * np.pi * np.arange(size) / size)
    places = (
        np.stack([np.angle(bright.sum(axis=axis) @ turn) for axis in (1, 2)], axis=1) * size / (2 * np.pi)
    )
    return np.asarray((np.diff(places, axis=0) + size / 2) % size - size / 2)


APPEARANCE: dict[str, Features] = {
    "first frame": lambda pictures: small(pictures)[0],
    "middle frame": lambda pictures: small(pictures)[8],
    "last frame": lambda pictures: small(pictures)[-1],
    "mean frame": lambda pictures: small(pictures).mean(axis=0),
    "spread of frames": lambda pictures: small(pictures).std(axis=0),
    "heap of frames": lambda pictures: np.sort(small(pictures).reshape(len(pictures), -1), axis=0),
    "colours": lambda pictures: np.sort(pictures.reshape(-1, 3)[::61].astype(np.float64), axis=0),
}


@pytest.mark.parametrize("name", APPEARANCE)
def test_frames_without_their_order_do_not_solve_it(name: str) -> None:
    assert accuracy(APPEARANCE[name]) < 0.2  # chance is 0.125; 192 test films


def test_displacements_in_order_solve_it() -> None:
    assert accuracy(displacements) > 0.95


def test_an_encoded_film_still_shows_it(tmp_path: Path) -> None:
    settings = SynthSettings(16, 8, 5, 64, 32, validation=0.5)
    synthesize(tmp_path / "set", settings)
    index = open_index(tmp_path / "set")
    known = np.stack(
        [
            displacements(
                np.stack(list(film(draw_scene(64, np.random.default_rng(9), False), m, 32)))
            ).ravel()
            for m in motions(8)
        ]
    )
    for sample in index.samples:
        moves = displacements(read_frames(sample.path, range(32))).ravel()
        assert int(np.linalg.norm(known - moves, axis=1).argmin()) == sample.label
