"""Examining a data set: every file decoded, what is bad named, and what the rest looks like."""

from __future__ import annotations

import contextlib
import queue
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from vmexport.config.progress import Progress
from vmexport.data.check_one import Examined, Examiner, examine
from vmexport.data.index import VideoIndex
from vmexport.errors import UsageError


@dataclass(frozen=True)
class BadFile:
    """A video that cannot be used.

    Attributes:
        path: the file.
        class_name: the class that it is listed under.
        what: what is wrong.
        why: the reason.
    """

    path: Path
    class_name: str
    what: str
    why: str


@dataclass(frozen=True)
class Range:
    """Smallest, middle and largest value."""

    smallest: float
    median: float
    largest: float


@dataclass(frozen=True)
class DataReport:
    """What a data set looks like.

    Attributes:
        root: its folder.
        layout: its format.
        split: the part that was examined.
        files: videos listed.
        bad: those that cannot be used, in the order of the list.
        quick: only the first and the last frame of each were decoded.
        seconds: how long it took.
        duration_s: of all good videos together.
        frames: frames of a video; None where no video is good, as the next two.
        fps: frames a second.
        shorter_side: pixels.
        sizes: how many videos have which size (`320x240`), the most frequent first.
        codecs: how many videos have which codec.
        classes: good videos of each class, in label order.
        notes: of the index, and of videos that hold less than their headers claim.
    """

    root: Path
    layout: str
    split: str
    files: int
    bad: tuple[BadFile, ...]
    quick: bool
    seconds: float
    duration_s: float
    frames: Range | None
    fps: Range | None
    shorter_side: Range | None
    sizes: dict[str, int]
    codecs: dict[str, int]
    classes: dict[str, int]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every file can be used."""
        return not self.bad


def check_data(
    index: VideoIndex,
    *,
    quick: bool = False,
    workers: int = 0,
    progress: Progress | None = None,
) -> DataReport:
    """Decode every video of an index.

    Args:
        index: what `open_index` gives.
        quick: decode the first and the last frame only; damage between them goes unseen.
        workers: processes that decode, where a decoder that crashes takes only its own file along; 0 decodes
            in this process.
        progress: called with the file, files done, and files in all.

    Raises:
        UsageError: a negative number of workers.
    """
    if workers < 0:
        raise UsageError("no process to decode with", f"got workers={workers}", "--workers 1")
    started = time.monotonic()
    outcomes = [Examined()] * len(index)
    paths = [sample.path for sample in index.samples]
    for done, (item, outcome) in enumerate(_examined(paths, quick, workers), 1):
        outcomes[item] = outcome
        if progress is not None:
            progress(paths[item].name, done, len(paths))
    return _report(index, outcomes, quick, time.monotonic() - started)


def _examined(paths: Sequence[Path], quick: bool, workers: int) -> Iterator[tuple[int, Examined]]:
    """Position and outcome of every file, as they are ready."""
    if workers == 0:
        yield from ((item, examine(path, quick)) for item, path in enumerate(paths))
        return
    free: queue.SimpleQueue[Examiner] = queue.SimpleQueue()

    def one(path: Path) -> Examined:
        examiner = free.get()
        try:
            return examiner.examine(path, quick)
        finally:
            free.put(examiner)

    threads = ThreadPoolExecutor(workers)
    try:
        with (
            contextlib.ExitStack() as stack
        ):  # left first: ends the processes, so that no thread waits for one
            for _ in range(workers):
                free.put(stack.enter_context(Examiner()))
            futures = {threads.submit(one, path): item for item, path in enumerate(paths)}
            for future in as_completed(futures):
                yield futures[future], future.result()
    finally:
        threads.shutdown(cancel_futures=True)


def _report(index: VideoIndex, outcomes: Sequence[Examined], quick: bool, seconds: float) -> DataReport:
    """Sum up the outcomes."""
    bad, good, notes = [], [], list(index.notes)
    counts = [0] * index.num_classes
    for sample, outcome in zip(index.samples, outcomes, strict=True):
        if outcome.what:
            bad.append(BadFile(sample.path, index.classes[sample.label], outcome.what, outcome.why))
        else:
            good.append(outcome)
            counts[sample.label] += 1
            if outcome.note:
                notes.append(f"{sample.path}: {outcome.note}")
    return DataReport(
        root=index.root,
        layout=index.layout,
        split=index.split,
        files=len(index),
        bad=tuple(bad),
        quick=quick,
        seconds=seconds,
        duration_s=sum(info.duration_s for info in good),
        frames=_range([info.frames for info in good]),
        fps=_range([info.fps for info in good]),
        shorter_side=_range([min(info.width, info.height) for info in good]),
        sizes=dict(Counter(f"{info.width}x{info.height}" for info in good).most_common()),
        codecs=dict(Counter(info.codec for info in good).most_common()),
        classes=dict(zip(index.classes, counts, strict=True)),
        notes=tuple(notes),
    )


def _range(values: Sequence[float]) -> Range | None:
    """Smallest, middle and largest of some values."""
    return Range(min(values), median(values), max(values)) if values else None
