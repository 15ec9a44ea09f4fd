"""What a caller asks of a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from vmexport.config.choices import Device
from vmexport.errors import UsageError


@dataclass(frozen=True)
class PredictionRequest:
    """How to classify videos.

    Attributes:
        topk: classes to return; all of them where the model has fewer.
        views: test views, clips x crops, such as "2x3".
        on_error: "raise" stops at the first bad video; "collect" goes on, the prediction holds the error.
        device: "cpu" or "cuda", where a model that is opened here runs.

    Raises:
        UsageError: a value out of range.
    """

    topk: int = 5
    views: str = "1x1"
    on_error: Literal["raise", "collect"] = "raise"
    device: str = Device.CPU.value

    def __post_init__(self) -> None:
        if self.topk < 1 or self.on_error not in ("raise", "collect"):
            raise UsageError(
                "predict needs topk of at least 1, and on_error 'raise' or 'collect'",
                f"got topk={self.topk}, on_error={self.on_error!r}",
                "--topk 5",
            )


class PredictionOptions(TypedDict, total=False):
    """The fields of `PredictionRequest` as keywords of `predict`."""

    topk: int
    views: str
    on_error: Literal["raise", "collect"]
    device: str
