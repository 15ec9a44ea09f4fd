"""What a caller asks of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from vmexport.config.choices import Device, Layout, Order, Split
from vmexport.errors import UsageError
from vmexport.eval.reorder import reordering

NATURAL = Order.SEQUENTIAL.value


@dataclass(frozen=True)
class EvaluationRequest:
    """How to evaluate.

    Attributes:
        split: "train", "val", "test" or "all".
        layout: format of the data set, or "auto".
        videos: folder that the names in the lists start from; None searches.
        fold: which of the three splits of HMDB51 or UCF101.
        views: test views, clips x crops, such as "2x3" (paper section 5.1).
        reorder: names of `vmexport.eval.REORDERINGS`; the natural order is always among what is computed.
        workers: threads that decode; 0 decodes in this one.
        skip_bad: leave unreadable videos out and report them; otherwise the first one is an error.
        device: "cpu" or "cuda", where a model that is opened here runs.
    """

    split: str = Split.VAL.value
    layout: str = Layout.AUTO.value
    videos: str | Path | None = None
    fold: int = 1
    views: str = "1x1"
    reorder: tuple[str, ...] = (NATURAL,)
    workers: int = 0
    skip_bad: bool = False
    device: str = Device.CPU.value

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise UsageError(f"workers: expected 0 or more, got {self.workers}", "", "--workers 2")
        for name in self.reorder:
            reordering(name, 1)


class EvaluationOptions(TypedDict, total=False):
    """The fields of `EvaluationRequest` as keywords of `evaluate`."""

    split: str
    layout: str
    videos: str | Path | None
    fold: int
    views: str
    reorder: tuple[str, ...]
    workers: int
    skip_bad: bool
    device: str
