"""The motion data set in each of the published formats: where a film goes, and the lists beside the films."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmexport.data.synth.motion import Motion
from vmexport.errors import UsageError

VIDEOS = "videos"
SSV2_VIDEOS = "20bn-something-something-v2"
SSV2_LIST = "something-something-v2-{}.json"
HMDB51_LISTS = "testTrainMulti_7030_splits"
HMDB51_SIDE = {"train": 1, "val": 2}


@dataclass(frozen=True)
class Film:
    """One film of the data set.

    Attributes:
        number: counted over both parts, from 1.
        part: "train" or "val".
        label: number of its class.
        scene: number of its scene within the part; one film of each class shares it.
        motion: its class.
    """

    number: int
    part: str
    label: int
    scene: int
    motion: Motion


@dataclass(frozen=True)
class Layout:
    """A published format.

    Attributes:
        place: relative path of a film.
        write_lists: writes the lists into the data set's folder.
    """

    place: Callable[[Film], Path]
    write_lists: Callable[[Path, Sequence[Film], Sequence[Motion]], None]


def layout(name: str) -> Layout:
    """A format by name.

    Raises:
        UsageError: an unknown name.
    """
    if name not in WRITERS:
        raise UsageError(
            f"unknown layout {name!r}", f"expected one of {', '.join(WRITERS)}", "--layout folder"
        )
    return WRITERS[name]


def _no_lists(root: Path, films: Sequence[Film], classes: Sequence[Motion]) -> None:
    """Class folders need none."""


def _kinetics(root: Path, films: Sequence[Film], classes: Sequence[Motion]) -> None:
    """`train.csv` and `val.csv` with a path and a label a line, and the class names in `labels.txt`."""
    for part in ("train", "val"):
        lines = [f"{_kinetics_place(film)} {film.label}\n" for film in films if film.part == part]
        (root / f"{part}.csv").write_text("".join(lines), encoding="utf-8")
    (root / "labels.txt").write_text("".join(f"{motion.name}\n" for motion in classes), encoding="utf-8")


def _kinetics_place(film: Film) -> Path:
    return Path(VIDEOS) / f"{film.number:06d}.mp4"


def _ssv2(root: Path, films: Sequence[Film], classes: Sequence[Motion]) -> None:
    """The three JSON files of Something-Something V2; the labels are sentences with a gap."""
    for part, name in (("train", "train"), ("val", "validation")):
        entries = [
            {
                "id": str(film.number),
                "label": _template(film.motion).replace("[something]", "a shape"),
                "template": _template(film.motion),
                "placeholders": ["a shape"],
            }
            for film in films
            if film.part == part
        ]
        _write_json(root / SSV2_LIST.format(name), entries)
    names = [_template(motion).replace("[", "").replace("]", "") for motion in classes]
    labels: Mapping[str, str] = {name: str(number) for number, name in enumerate(names)}
    _write_json(root / SSV2_LIST.format("labels"), labels)


def _template(motion: Motion) -> str:
    """A sentence as Something-Something has them."""
    return f"Moving [something] {motion.text}"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=0), encoding="utf-8")


def _hmdb51(root: Path, films: Sequence[Film], classes: Sequence[Motion]) -> None:
    """One list a class: file name and 1 for training, 2 for test."""
    folder = root / HMDB51_LISTS
    folder.mkdir()
    for motion in classes:
        lines = [
            f"{_hmdb51_place(film).name} {HMDB51_SIDE[film.part]} \n"
            for film in films
            if film.motion == motion
        ]
        name = f"{_hmdb51_name(motion)}_test_split1.txt"
        (folder / name).write_text("".join(lines), encoding="utf-8")


def _hmdb51_name(motion: Motion) -> str:
    """Class names with underscores, as HMDB51's."""
    return motion.name.replace("-", "_")


def _hmdb51_place(film: Film) -> Path:
    return Path(_hmdb51_name(film.motion)) / f"motion_{film.number:06d}.mp4"


WRITERS: Mapping[str, Layout] = {
    "folder": Layout(lambda film: Path(film.part, film.motion.name, f"{film.number:06d}.mp4"), _no_lists),
    "kinetics": Layout(_kinetics_place, _kinetics),
    "ssv2": Layout(lambda film: Path(SSV2_VIDEOS) / f"{film.number}.mp4", _ssv2),
    "hmdb51": Layout(_hmdb51_place, _hmdb51),
}
