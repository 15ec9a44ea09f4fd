"""Pictures of an evaluation: the confusion matrix, and accuracy against the order of the frames."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vmexport.eval.report import EvaluationReport
from vmexport.files import atomic_write
from vmexport.package import VERSION
from vmexport.text import drawn

NAMED_CLASSES = 60
"""Up to this many classes every row and column carries its name, and every square its number."""

LONGEST_NAME = 60
"""Characters of a class's name; longer ones, cut, would leave no room for the squares."""


def plot_confusion(report: EvaluationReport, path: Path | str) -> None:
    """Write a PNG: right classes down, predicted classes across, share of each right class as colour.

    Raises:
        InputError: the place cannot be written.
        BuildError: the disk is full.
    """
    names = [drawn(result.label, LONGEST_NAME) for result in report.classes]
    shares = [[value / max(1, sum(row)) for value in row] for row in report.confusion]
    named = len(names) <= NAMED_CLASSES
    side = 3 + (0.42 * len(names) if named else 9)
    figure = Figure(figsize=(side + 1.5, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="viridis")
    figure.colorbar(image, ax=axes, label="share of the right class", shrink=0.8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("right")
    axes.set_title(f"{report.videos} videos, top-1 {report.top1:.1%}")
    if named:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        for row, values in enumerate(report.confusion):
            for column, value in enumerate(values):
                if value:
                    colour = "black" if shares[row][column] > 0.6 else "white"
                    axes.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=8)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def plot_orders(report: EvaluationReport, path: Path | str) -> None:
    """Write `orders_chart` as a PNG.

    Raises:
        InputError: the place cannot be written.
        BuildError: the disk is full.
    """
    figure = orders_chart(report)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def orders_chart(report: EvaluationReport) -> Figure:
    """Top-1 accuracy for each order of the frames, with its 95 % interval, and chance.

    The interval (Wilson's) says what the number of videos can tell; it knows nothing of other seeds.
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shares = list(report.reorder.values())
    bounds = [wilson(share, report.videos) for share in shares]
    below = [100 * (share - low) for share, (low, _) in zip(shares, bounds, strict=True)]
    above = [100 * (high - share) for share, (_, high) in zip(shares, bounds, strict=True)]
    places = range(len(shares))
    axes.bar(places, [100 * share for share in shares], width=0.6, color="#4c78a8", yerr=(below, above),
             error_kw={"ecolor": "#333333", "capsize": 4})  # fmt: skip
    for place, share, (_, high) in zip(places, shares, bounds, strict=True):
        axes.text(place, 100 * high + 1.5, f"{share:.1%}", ha="center", fontsize=9)
    chance = 100 / len(report.classes)
    axes.axhline(chance, color="0.4", linestyle="--", linewidth=1, label=f"chance, {chance:.3g} %")
    axes.set_xticks(places, list(report.reorder))
    axes.set(xlabel="order of the frames", ylabel="top-1 accuracy, %", ylim=(0, 112))
    axes.set_yticks(range(0, 101, 20))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    axes.set_title(
        f"{report.videos} videos of {len(report.classes)} classes, {report.views} views", fontsize=10
    )
    origin = f"{Path(report.model).name}, {report.backend}; {Path(report.data).name}, {report.split}"
    figure.supxlabel(drawn(f"{origin}; whiskers: 95 %; vmexport {VERSION}"), fontsize=7, color="0.35")
    return figure


def wilson(share: float, videos: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share of `videos`: its lower and upper bound, by default at 95 %."""
    centre = share + z * z / (2 * videos)
    spread = z * math.sqrt(share * (1 - share) / videos + (z / (2 * videos)) ** 2)
    scale = 1 + z * z / videos
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
