"""Making the motion data set: which films there are, and writing them all or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vmexport.config.progress import Progress
from vmexport.data.synth.layouts import Film, layout
from vmexport.data.synth.motion import motions
from vmexport.data.synth.record import check_replaceable, remove_set, write_record
from vmexport.data.synth.scene import draw_scene, film
from vmexport.errors import UsageError
from vmexport.files import atomic_folder
from vmexport.video.encode import write_film

PARTS = ("train", "val")


@dataclass(frozen=True)
class SynthSettings:
    """What the motion data set looks like.

    Attributes:
        clips: films in all.
        classes: number of classes; 2 to 16, a multiple of four holds every twin and every reversal.
        seed: of everything random; the same seed gives the same pictures.
        size: side of the square picture in pixels, even.
        frames: frames of a film; the motion fills them, so that a clip has to span them.
        fps: frames a second.
        validation: share of the films in the validation part.
        layout: "folder", "kinetics", "ssv2" or "hmdb51".
    """

    clips: int = 240
    classes: int = 8
    seed: int = 0
    size: int = 112
    frames: int = 32
    fps: int = 25
    validation: float = 0.2
    layout: str = "folder"

    def __post_init__(self) -> None:
        layout(self.layout), motions(self.classes)
        for name, value, smallest, largest in (
            ("size", self.size, 32, 1024),
            ("frames", self.frames, 8, 10_000),
            ("fps", self.fps, 1, 240),
            ("seed", self.seed, 0, 2**63),
        ):
            if not smallest <= value <= largest:
                raise UsageError(
                    f"{name} is out of range",
                    f"expected {smallest} to {largest}, got {value}",
                    f"--{name} {smallest}",
                )
        if self.size % 2:
            raise UsageError(
                "size is odd", f"H.264 needs an even one, got {self.size}", f"--size {self.size + 1}"
            )
        if not 0 < self.validation < 1:
            raise UsageError(
                "validation is out of range",
                f"expected a share between 0 and 1, got {self.validation}",
                "--validation 0.2",
            )
        training, validation = self.numbers
        if min(training, validation) < self.classes:
            raise UsageError(
                f"{self.clips} clips are too few",
                f"{training} to train and {validation} to validate, for {self.classes} classes",
                f"--clips {int(np.ceil(self.classes / min(self.validation, 1 - self.validation)))}",
            )

    @property
    def numbers(self) -> tuple[int, int]:
        """Films of the training and of the validation part."""
        validation = round(self.clips * self.validation)
        return self.clips - validation, validation


@dataclass(frozen=True)
class SynthReport:
    """What was made.

    Attributes:
        path: the folder.
        settings: as given.
        classes: names, in label order.
        training: films to train on.
        validation: films to validate on.
        size_bytes: of all films together.
    """

    path: Path
    settings: SynthSettings
    classes: tuple[str, ...]
    training: int
    validation: int
    size_bytes: int


def synthesize(
    out: Path | str,
    settings: SynthSettings | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> SynthReport:
    """Write the motion data set: H.264 films whose class is the order of two motions.

    Each scene (textures, colours, shape, place, timing) is filmed once for every class, so that nothing but
    the motion tells classes apart. Scenes of the validation part have colours and places that training never
    has.

    Args:
        out: folder to make; complete or not there at all.
        settings: None takes the defaults.
        force: replace a data set that an earlier call made, if nothing else lies in its folder.
        progress: called with what is being done, films done, and films in all.

    Raises:
        UsageError: settings out of range, or `out` is there (and not to be replaced).
        InputError: the place is not writable, or `force` on a folder that holds anything besides the files
            that its own record names.
        EnvironmentProblem: this build of PyAV has no H.264 encoder.
        BuildError: the disk is full.
    """
    settings, out = settings or SynthSettings(), Path(out)
    check_replaceable(out, force)
    films, chosen = list(_films(settings)), layout(settings.layout)
    with atomic_folder(out, remove_set) as folder:
        for done, one in enumerate(films):
            if progress is not None:
                progress(f"{one.part}: {one.motion.name}", done, len(films))
            target = folder / chosen.place(one)
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(one, settings, target)
        chosen.write_lists(folder, films, motions(settings.classes))
        size_bytes = sum((folder / chosen.place(one)).stat().st_size for one in films)
        write_record(folder, _description(settings))
    classes = tuple(motion.name for motion in motions(settings.classes))
    return SynthReport(out, settings, classes, *settings.numbers, size_bytes)


def _films(settings: SynthSettings) -> Iterator[Film]:
    """Every film, the training part first; classes take turns."""
    classes, number = motions(settings.classes), 0
    for part, count in zip(PARTS, settings.numbers, strict=True):
        for place in range(count):
            number += 1
            label = place % len(classes)
            yield Film(number, part, label, place // len(classes), classes[label])


def _write(one: Film, settings: SynthSettings, target: Path) -> None:
    """Draw and encode one film."""
    held_out = one.part == "val"
    random = np.random.default_rng([settings.seed, int(held_out), one.scene])
    scene = draw_scene(settings.size, random, held_out)
    pictures = film(scene, one.motion, settings.frames)
    write_film(target, pictures, (settings.size, settings.size), settings.fps)


def _description(settings: SynthSettings) -> dict[str, Any]:
    """What the record beside the films says of them."""
    return {"settings": asdict(settings), "classes": [motion.name for motion in motions(settings.classes)]}
