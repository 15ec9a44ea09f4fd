"""Every test view of a data set's videos, for evaluation; needs no PyTorch."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vmexport.config import Architecture, Preprocessing
from vmexport.data.index import VideoIndex
from vmexport.errors import InputError
from vmexport.video import Views, load_clips, parse_views

AHEAD = 2
"""Videos a thread that are decoded, or being decoded, before they are asked for."""


@dataclass(frozen=True)
class VideoViews:
    """Every test view of one video, or why there are none.

    Attributes:
        item: position of the video in the index.
        label: number of its class.
        views: (clips x crops, 3, T, size, size) float32, normalised; view `clip * crops + crop`. None where
            the file is unreadable.
        error: why, or None.
    """

    item: int
    label: int
    views: NDArray[np.float32] | None
    error: InputError | None = None


class EvaluationClips:
    """Every (clip, crop) view of each video, exactly once (paper section 5.1); nothing is random.

    Args:
        index: the videos.
        architecture: gives `T` and the size of a frame.
        preprocessing: stride, resize, mean and std.
        views: test views, clips x crops, such as "2x3".

    Raises:
        UsageError: the views cannot be read.
    """

    def __init__(
        self,
        index: VideoIndex,
        architecture: Architecture,
        preprocessing: Preprocessing | None = None,
        views: str | Views = "1x1",
    ) -> None:
        self.index, self.architecture = index, architecture
        self.preprocessing, self.views = preprocessing or Preprocessing(), parse_views(views)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: int) -> VideoViews:
        """The views of one video; an unreadable file is not raised, so that the caller may leave it out."""
        sample = self.index.samples[item]
        try:
            views = load_clips(sample.path, self.architecture, self.preprocessing, self.views)
        except InputError as error:
            return VideoViews(item, sample.label, None, error)
        return VideoViews(item, sample.label, views)

    def load(self, workers: int = 0, on_bad: Literal["fail", "skip"] = "fail") -> Iterator[VideoViews]:
        """All videos in order, decoded ahead by threads; decoding does not hold Python's lock.

        At most `AHEAD` videos a thread are in memory. Leaving early, by an error or an interrupt, waits for
        the videos that are being decoded and begins no others.

        Args:
            workers: threads; 0 decodes in this one.
            on_bad: "fail" raises at the first unreadable file; "skip" yields it with its error, to report.

        Raises:
            InputError: an unreadable file, with `on_bad="fail"`.
        """
        with contextlib.closing(_in_order(self.__getitem__, len(self), workers)) as videos:
            for video in videos:
                if video.error is not None and on_bad == "fail":
                    raise video.error
                yield video


def _in_order(
    load: Callable[[int], VideoViews], count: int, workers: int
) -> Generator[VideoViews, None, None]:
    """`load` of 0 .. count - 1, in that order, computed ahead by threads."""
    if workers == 0:
        yield from map(load, range(count))
        return
    threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    waiting: deque[Future[VideoViews]] = deque()
    try:
        for item in range(count):
            waiting.append(threads.submit(load, item))
            if len(waiting) == AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
