"""Classify video files: the views of each go through a runner, their probabilities are averaged."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from vmexport.errors import InputError, UsageError, VmexportError
from vmexport.runtime import Runner, open_runner
from vmexport.video import Views, load_clips, parse_views

if TYPE_CHECKING:
    from vmexport.model import VideoMamba

UNBOUNDED_BATCH = 4
"""Views a call where the runner takes any batch: bounds memory; a larger batch is no faster on a CPU."""


@dataclass(frozen=True)
class Guess:
    """One class that a video may show.

    Attributes:
        label: its name, or `class 17` where the model carries no names.
        index: its number.
        probability: 0 to 1.
    """

    label: str
    index: int
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of one video.

    Attributes:
        video: the file.
        views: the views averaged, clips x crops.
        top: the likeliest classes, best first; empty where the video failed.
        error: why the video failed, or None.
    """

    video: str
    views: str
    top: tuple[Guess, ...] = ()
    error: VmexportError | None = None


def predict(
    model: str | Path | VideoMamba,
    videos: str | Path | Sequence[str | Path],
    *,
    topk: int = 5,
    views: str | Views = "1x1",
    runner: Runner | None = None,
    on_error: Literal["raise", "collect"] = "raise",
    device: str = "cpu",
) -> list[Prediction]:
    """Classify videos: softmax of every view, then the mean over views (paper section 5.1).

    Args:
        model: a file (.safetensors, .pth, .onnx), a preset's name or a network; unused if `runner` is given.
        videos: one file or several.
        topk: classes to return; all of them where the model has fewer.
        views: test views, clips x crops, such as "2x3".
        runner: an open runner to use instead of opening `model`.
        on_error: "raise" stops at the first bad video; "collect" goes on, the prediction holds the error.
        device: "cpu" or "cuda", where the model runs; unused if `runner` is given.

    Returns:
        one prediction a video, in the order given.

    Raises:
        UsageError: topk below 1, unreadable views, no video, an unknown `on_error`.
        InputError: a video or the model cannot be read, or the model returns values that are not finite.
    """
    parsed = parse_views(views)
    files = [videos] if isinstance(videos, str | Path) else list(videos)
    if topk < 1 or not files or on_error not in ("raise", "collect"):
        raise UsageError(
            "predict needs a video, topk of at least 1, and on_error 'raise' or 'collect'",
            f"got {len(files)} videos, topk={topk}, on_error={on_error!r}",
        )
    with contextlib.ExitStack() as stack:
        if runner is None:
            runner = stack.enter_context(open_runner(model, device=device))
        return [_predict_one(runner, str(file), topk, parsed, on_error == "collect") for file in files]


def _predict_one(runner: Runner, video: str, topk: int, views: Views, collect: bool) -> Prediction:
    """Classify one video; a bad file becomes part of the result where `collect` is set."""
    info = runner.info
    try:
        clips = load_clips(video, info.architecture, info.preprocessing, views)
    except InputError as error:
        if not collect:
            raise
        return Prediction(video, str(views), error=error)
    mean = softmax(run_in_batches(runner, clips)).mean(axis=0)
    order = np.argsort(-mean, kind="stable")[:topk]
    guesses = tuple(Guess(info.label(int(index)), int(index), float(mean[index])) for index in order)
    return Prediction(video, str(views), guesses)


def run_in_batches(runner: Runner, clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run any number of clips through a runner that serves a limited range of batches.

    A last batch below the smallest one served is filled with its last clip; the surplus results are dropped.

    Args:
        runner: open.
        clips: (V, 3, T, H, W) float32, V at least 1.

    Returns:
        (V, classes) float32 logits.

    Raises:
        InputError: the logits hold NaN or infinity.
    """
    profile = runner.info.profile
    smallest, largest = (profile.minimum, profile.maximum) if runner.bounded else (1, UNBOUNDED_BATCH)
    results = []
    for start in range(0, len(clips), largest):
        batch = clips[start : start + largest]
        missing = max(0, smallest - len(batch))
        if missing:
            batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        results.append(runner(batch)[: len(batch) - missing])
    logits = np.concatenate(results)
    if not np.isfinite(logits).all():
        raise InputError(
            f"{runner.source} returned values that are not finite",
            f"{int((~np.isfinite(logits)).sum())} of {logits.size} logits are NaN or infinite",
            "check the weights: vmexport info MODEL; an fp16 export may overflow, try fp32",
        )
    return logits


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities over the last axis, in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)
