"""The picture of a run: loss and accuracy over its epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vmexport.files import atomic_write
from vmexport.text import drawn
from vmexport.train.request import EpochRecord

PICTURE = "curves.png"


def draw_curves(epochs: Sequence[EpochRecord], out: Path, title: str) -> Path | None:
    """Write `curves.png`.

    Args:
        epochs: at least one.
        out: the run's folder.
        title: what was trained on what.

    Returns:
        The file; None where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return None
    figure = Figure(figsize=(9, 4), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    numbers = [record.epoch for record in epochs]
    validated = [record for record in epochs if record.top1 is not None]
    at = [record.epoch for record in validated]
    losses.plot(numbers, [record.loss for record in epochs], marker=".", label="training (augmented)")
    losses.plot(at, [record.validation_loss for record in validated], marker=".", label="validation")
    losses.set(xlabel="epoch", ylabel="loss, nats", ylim=(0, None))
    accuracies.plot(numbers, [100 * r.accuracy for r in epochs], marker=".", label="training (augmented)")
    accuracies.plot(at, [100 * (r.top1 or 0) for r in validated], marker=".", label="validation, one view")
    accuracies.set(xlabel="epoch", ylabel="top-1 accuracy, %", ylim=(0, 102))
    for axes in (losses, accuracies):
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(drawn(title))
    with atomic_write(out / PICTURE) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    return out / PICTURE
