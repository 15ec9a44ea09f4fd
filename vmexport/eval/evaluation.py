"""`evaluate`: accuracy of any runner on a split of a data set, over test views and orders of frames."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vmexport.config.progress import Progress
from vmexport.data import EvaluationClips, VideoIndex, open_index
from vmexport.errors import InputError
from vmexport.eval.labels import match_labels
from vmexport.eval.metrics import accuracy, class_results, confusion
from vmexport.eval.reorder import reordering
from vmexport.eval.report import EvaluationReport, Skipped, VideoResult
from vmexport.eval.request import NATURAL, EvaluationRequest
from vmexport.runtime import Runner, open_runner
from vmexport.runtime.predict import run_in_batches, softmax

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vmexport.eval.request import EvaluationOptions
    from vmexport.model import VideoMamba


def evaluate(
    model: str | Path | VideoMamba | Runner,
    data: str | Path | VideoIndex,
    *,
    request: EvaluationRequest | None = None,
    progress: Progress | None = None,
    **options: Unpack[EvaluationOptions],
) -> EvaluationReport:
    """Evaluate a model: softmax of every view, the mean over views, then accuracy (paper sections 5.1, 5.2).

    Args:
        model: a file (.safetensors, .pth, .onnx, .engine), a preset's name, a network, or an open runner.
        data: folder or list of a data set in any published format, or an index of it.
        request: how, made beforehand; None takes the defaults.
        progress: told after every video.
        **options: fields of `EvaluationRequest` that differ, such as `views="2x3"`.

    Returns:
        the report; classes are numbered as in the model.

    Raises:
        UsageError: unreadable views, or an unknown split, layout or order.
        InputError: the model or the data cannot be read, they have different classes, the split is empty, a
            video is unreadable (unless skipped), or the model returns values that are not finite.
    """
    request = replace(request or EvaluationRequest(), **options)
    index = data
    if not isinstance(index, VideoIndex):
        index = open_index(index, request.split, request.layout, videos=request.videos, fold=request.fold)
    if isinstance(model, Runner):
        return _evaluate(model, index, request, progress)
    with open_runner(model, device=request.device) as runner:
        return _evaluate(runner, index, request, progress)


@dataclass(frozen=True)
class _Outcome:
    """Probabilities by order of frames, `(videos, classes)` each, and what was left out."""

    labels: NDArray[np.int64]
    paths: tuple[Path, ...]
    probabilities: dict[str, NDArray[np.float64]]
    skipped: tuple[Skipped, ...]


def _evaluate(
    runner: Runner, index: VideoIndex, request: EvaluationRequest, progress: Progress | None
) -> EvaluationReport:
    started = time.perf_counter()
    numbers, notes = match_labels(runner.info, index, runner.source)
    clips = EvaluationClips(index, runner.info.architecture, runner.info.preprocessing, request.views)
    outcome = _run(runner, clips, request, progress or (lambda _what, _done, _total: None))
    labels = np.asarray(numbers, np.int64)[outcome.labels]
    natural = outcome.probabilities[NATURAL]
    names = [runner.info.label(number) for number in range(natural.shape[1])]
    return EvaluationReport(
        model=runner.source,
        backend=runner.description,
        data=str(index.root),
        split=index.split,
        views=str(clips.views),
        videos=len(labels),
        top1=accuracy(natural, labels, 1),
        top5=accuracy(natural, labels, 5),
        classes=class_results(natural, labels, names),
        confusion=confusion(natural, labels),
        reorder={name: accuracy(outcome.probabilities[name], labels, 1) for name in request.reorder},
        results=_results(outcome.paths, labels, natural),
        skipped=outcome.skipped,
        notes=(*index.notes, *notes),
        seconds=time.perf_counter() - started,
    )


def _run(runner: Runner, clips: EvaluationClips, request: EvaluationRequest, progress: Progress) -> _Outcome:
    """Every video through the runner, in every order of its frames."""
    frames = runner.info.architecture.frames
    orders = {name: reordering(name, frames) for name in dict.fromkeys((*request.reorder, NATURAL))}
    rows: dict[str, list[NDArray[np.float64]]] = {name: [] for name in orders}
    kept, skipped = [], []
    loaded = clips.load(request.workers, on_bad="skip" if request.skip_bad else "fail")
    for done, video in enumerate(loaded, start=1):
        path = clips.index.samples[video.item].path
        if video.views is None:
            skipped.append(Skipped(str(path), _reason(video.error)))
        else:
            kept.append(video.item)
            for name, order in orders.items():
                logits = run_in_batches(runner, np.ascontiguousarray(video.views[:, :, order]))
                rows[name].append(softmax(logits).mean(axis=0))
        progress(str(path.name), done, len(clips))
    if not kept:
        raise InputError(
            f"no video of {clips.index.root} could be read",
            skipped[0].reason if skipped else "the split is empty",
            f"vmexport data check {clips.index.root}",
        )
    samples = [clips.index.samples[item] for item in kept]
    return _Outcome(
        labels=np.asarray([sample.label for sample in samples], np.int64),
        paths=tuple(sample.path for sample in samples),
        probabilities={name: np.stack(values) for name, values in rows.items()},
        skipped=tuple(skipped),
    )


def _reason(error: InputError | None) -> str:
    """What is wrong with a video, on one line; what to do about it is not said for each."""
    return " ".join(": ".join(filter(None, (error.what, error.why))).split()) if error is not None else ""


def _results(
    paths: Sequence[Path], labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> tuple[VideoResult, ...]:
    """One line a video."""
    best = probabilities.argmax(axis=1)
    return tuple(
        VideoResult(str(path), int(label), int(top), float(row[top]))
        for path, label, top, row in zip(paths, labels, best, probabilities, strict=True)
    )
