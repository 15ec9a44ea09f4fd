"""What an evaluation found, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ClassResult:
    """One class.

    Attributes:
        label: its name.
        videos: evaluated videos of it.
        top1: share of them whose likeliest class it is, 0 to 1; None without videos.
        top5: share of them where it is among the five likeliest; None without videos.
    """

    label: str
    videos: int
    top1: float | None
    top5: float | None


@dataclass(frozen=True)
class VideoResult:
    """One video, in the natural order of its frames.

    Attributes:
        path: the file.
        label: number of its class, as the model counts.
        predicted: number of the likeliest class.
        probability: of that class, 0 to 1, the mean over views.
    """

    path: str
    label: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class Skipped:
    """A video that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class EvaluationReport:
    """Outcome of `vmexport.eval.evaluate`. Shares are fractions, 0 to 1.

    Attributes:
        model: as given.
        backend: what computed.
        data: folder of the data set.
        split: the part that was evaluated.
        views: test views of a video, clips x crops.
        videos: number of videos evaluated.
        top1: share whose likeliest class is right.
        top5: share whose right class is among the five likeliest (of fewer classes: among all).
        classes: every class of the model, in order.
        confusion: `[right class][predicted class]`, numbers of videos.
        reorder: top-1 by order of the frames (paper section 5.2), the table's order.
        results: every video.
        skipped: videos that could not be read.
        notes: remarks, in sentences.
        seconds: wall time.
    """

    model: str
    backend: str
    data: str
    split: str
    views: str
    videos: int
    top1: float
    top5: float
    classes: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, ...], ...]
    reorder: Mapping[str, float]
    results: tuple[VideoResult, ...] = field(repr=False)
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """What JSON gets: everything but the single videos, which `write_results` writes."""
        return {name: value for name, value in vars(self).items() if name != "results"}


def write_results(report: EvaluationReport, path: Path) -> None:
    """Write a CSV file with a line for each video: path, right class, predicted class, probability.

    Names are written so that no spreadsheet computes them (`vmexport.text.to_cell`).

    Raises:
        InputError: the place cannot be written.
        BuildError: the disk is full.
    """
    import csv

    from vmexport.files import atomic_write
    from vmexport.text import to_cell

    names = [to_cell(result.label) for result in report.classes]
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC)  # a semicolon divides cells too, in places
        writer.writerow(("video", "label", "predicted", "probability"))
        for one in report.results:
            writer.writerow(
                (to_cell(one.path), names[one.label], names[one.predicted], round(one.probability, 6))
            )
