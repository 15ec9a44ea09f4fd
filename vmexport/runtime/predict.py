"""Classify video files: the views of each go through a runner, their probabilities are averaged."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vmexport.config.prediction import PredictionRequest
from vmexport.errors import InputError, UsageError, VmexportError
from vmexport.runtime import Runner, open_runner
from vmexport.video import Views, load_clips, parse_views

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vmexport.config.prediction import PredictionOptions
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
    model: str | Path | VideoMamba | Runner,
    videos: str | Path | Sequence[str | Path],
    *,
    request: PredictionRequest | None = None,
    **options: Unpack[PredictionOptions],
) -> list[Prediction]:
    """Classify videos: softmax of every view, then the mean over views (paper section 5.1).

    Args:
        model: a file (.safetensors, .pth, .onnx, .engine), a preset's name, a network, or an open runner.
        videos: one file or several.
        request: how, made beforehand; None takes the defaults.
        **options: fields of `PredictionRequest` that differ, such as `topk=3` or `views="2x3"`.

    Returns:
        one prediction a video, in the order given.

    Raises:
        UsageError: topk below 1, unreadable views, no video, an unknown `on_error`.
        InputError: a video or the model cannot be read, or the model returns values that are not finite.
    """
    request = replace(request or PredictionRequest(), **options)
    views = parse_views(request.views)
    files = [videos] if isinstance(videos, str | Path) else list(videos)
    if not files:
        raise UsageError("there is nothing to classify", "got no video", "vmexport predict MODEL VIDEO")
    with contextlib.ExitStack() as stack:
        opened = (
            model
            if isinstance(model, Runner)
            else stack.enter_context(open_runner(model, device=request.device))
        )
        collect = request.on_error == "collect"
        return [_predict_one(opened, str(file), request.topk, views, collect) for file in files]


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
