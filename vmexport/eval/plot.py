"""The confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vmexport.eval.report import EvaluationReport
from vmexport.files import atomic_write

NAMED_CLASSES = 60
"""Up to this many classes every row and column carries its name, and every square its number."""


def plot_confusion(report: EvaluationReport, path: Path | str) -> None:
    """Write a PNG: right classes down, predicted classes across, share of each right class as colour.

    Raises:
        InputError: the place cannot be written.
        BuildError: the disk is full.
    """
    names = [result.label for result in report.classes]
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
