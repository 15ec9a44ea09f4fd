"""Reading chosen frames of a video file: seek, decode forward, keep only what is wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from vmexport.errors import InputError, UsageError
from vmexport.video.container import REENCODE, open_video, reason
from vmexport.video.info import VideoInfo, probe

SEEK_GAP_S = 4.0
"""Wanted frames further apart than this are reached by a seek, nearer ones by decoding on."""

SEEK_MARGINS_S = (0.0, 2.0, 10.0)
"""How much earlier to seek, in turn, when a seek landed behind the wanted time; then from the beginning."""

LOOK_AHEAD = 4
"""Frames decoded past the last wanted one where the codec reorders frames: a damaged frame that a wanted one
refers to is often shown, and reported, only after it."""

MOST_PIXELS_AT_ONCE = 1 << 30
"""Of all frames that one call reads; 3.2 GB."""

INTERPOLATION = (
    Interpolation.BILINEAR
    | getattr(Interpolation, "ACCURATE_RND", 0)  # PyAV >= 18; 17 is one grey level less exact
    | getattr(Interpolation, "FULL_CHR_H_INT", 0)
)
"""swscale's bilinear filter, which widens with the reduction (that is, with antialiasing)."""


class _UnsoundSeekError(Exception):
    """What was decoded after a seek cannot be relied on."""


class _TimesOutOfOrderError(Exception):
    """The times of a stream's frames do not ascend."""


class FrameReader:
    """Reads frames of one file by index; memory stays flat, whatever the length of the file.

    Colours: the stream's own matrix and range where stated, else BT.601 and limited range; HDR is not tone
    mapped. Damage that the decoder notices, in a wanted frame or in one it depends on, is an error naming the
    time; damage that still decodes to some picture cannot be noticed.

    Args:
        path: a video or picture file.

    Attributes:
        info: the time line that indices refer to.
        decoded: frames decoded so far by `read`.

    Raises:
        InputError: the file is no complete, decodable video.
    """

    def __init__(self, path: Path | str) -> None:
        self.info: VideoInfo = probe(path)
        self.decoded = 0
        self._seeks = self.info.seekable
        self._stack = contextlib.ExitStack()
        self._reopen()

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(
        self, indices: Sequence[int] | NDArray[np.int64], size: tuple[int, int] | None = None
    ) -> NDArray[np.uint8]:
        """Decode frames, resized on the way so that only small pictures are kept.

        Args:
            indices: N frame indices of `info`'s time line, in any order, repeats allowed.
            size: (height, width) as displayed; None keeps the video's own.

        Returns:
            (N, height, width, 3) uint8, RGB, turned as displayed.

        Raises:
            UsageError: an index outside 0 .. frames - 1, or more than `MOST_PIXELS_AT_ONCE` in all.
            InputError: a wanted frame is missing or damaged.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= self.info.frames):
            raise UsageError(
                f"frame index outside {self.info.path}",
                f"expected 0 to {self.info.frames - 1}, got {wanted.min()} to {wanted.max()}",
            )
        height, width = size or (self.info.height, self.info.width)
        if wanted.size * height * width > MOST_PIXELS_AT_ONCE:
            raise UsageError(
                f"too many pixels of {self.info.path} at once",
                f"{wanted.size} frames of {width} x {height} are {wanted.size * height * width} pixels, "
                f"at most {MOST_PIXELS_AT_ONCE} are read",
                "read fewer frames, fewer views or smaller pictures",
            )
        out = np.empty((wanted.size, height, width, 3), dtype=np.uint8)
        for span in self._spans(np.unique(wanted)):
            for index, frame in self._frames_of(span):
                out[wanted == index] = self._picture(frame, height, width)
        return out

    def verify(self) -> None:
        """Decode every frame from the first to the last, and keep none.

        Raises:
            InputError: a frame is missing or damaged.
        """
        for _ in self._frames_of(np.arange(self.info.frames)):
            pass

    def _spans(self, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Split ascending indices where a seek pays."""
        if not self._seeks:
            return [indices] if indices.size else []
        breaks = np.flatnonzero(np.diff(indices) > SEEK_GAP_S * self.info.fps) + 1
        return [span for span in np.split(indices, breaks) if span.size]

    def _frames_of(self, span: NDArray[np.int64]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield (index, frame) for ascending indices: the last frame whose time is not after the index's.

        A seek may land where the decoder lacks pictures that later ones refer to (periodic intra refresh,
        some open groups of pictures). What it decodes from there counts only if no fault is met; otherwise
        the span is yielded anew from an earlier place, at last from the beginning: only what is met on the
        way from there is damage.
        """
        first = self.info.time_of(int(span[0]))
        if self._seeks and first - self.info.start_s > SEEK_GAP_S:
            for margin in SEEK_MARGINS_S:
                if not self._seek(first - margin):
                    break
                with contextlib.suppress(_UnsoundSeekError):
                    yield from self._walk(span, after_seek=True)
                    return
            self._seeks = False  # no seek helps in this file: further spans need not try
        self._reopen()
        try:
            yield from self._walk(span, after_seek=False)
        except _TimesOutOfOrderError:
            self._count_frames()
            yield from self._walk(span, after_seek=False)

    def _walk(self, span: NDArray[np.int64], after_seek: bool) -> Iterator[tuple[int, av.VideoFrame]]:
        """As `_frames_of`, decoding on from where the file stands.

        Raises:
            _UnsoundSeekError: after a seek: a fault, or a first frame behind the first index.
            _TimesOutOfOrderError: from the beginning: times that do not ascend.
            InputError: from the beginning: damage.
        """
        waiting = 0  # place in the span of the next index to yield
        shown, shown_at = None, -np.inf
        ahead = LOOK_AHEAD if self._stream.codec_context.has_b_frames else 0
        for time, frame in self._decode(after_seek):
            if shown is None and after_seek and time > self.info.time_of(int(span[0])):
                raise _UnsoundSeekError
            while waiting < len(span) and shown is not None and time > self.info.time_of(int(span[waiting])):
                yield int(span[waiting]), shown
                waiting += 1
            if waiting == len(span):
                if ahead == 0:
                    return
                ahead -= 1
            shown, shown_at = frame, time
        for index in map(int, span[waiting:]):
            if shown is None or self.info.time_of(index) > shown_at + _duration(shown, self.info.fps):
                raise self._fault(after_seek, self.info.time_of(index), "the data ends before it")
            yield index, shown

    def _seek(self, time: float) -> bool:
        """Go to the key frame at or before a time; whether the container can."""
        try:
            target = int(time / (self._stream.time_base or 1))
            self._container.seek(target, stream=self._stream, backward=True)
        except FFmpegError:
            return False
        return True

    def _decode(self, after_seek: bool) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames and times in order of display, from here on; after a seek, from the first key frame on.

        Pictures shown before that key frame may refer to others before it (an open group of pictures); they
        are decoded, for the decoder's sake, but neither yielded nor blamed.
        """
        key: int | None = None
        count, time = 0, self.info.start_s
        try:
            for packet in self._container.demux(self._stream):
                if after_seek and key is None and packet.size:
                    if not packet.is_keyframe:
                        continue
                    key = packet.pts
                leading = key is not None and packet.pts is not None and packet.pts < key
                try:
                    frames = packet.decode()
                except FFmpegError:
                    if leading:
                        continue
                    raise
                for frame in frames:
                    self.decoded += 1
                    if key is not None and frame.pts is not None and frame.pts < key:
                        continue
                    before, time = time, self._time(frame, count)
                    count += 1
                    if frame.is_corrupt:
                        raise self._fault(after_seek, time, "the decoder met damaged data")
                    if time < before and count > 1:
                        raise _UnsoundSeekError if after_seek else _TimesOutOfOrderError
                    yield time, frame
        except FFmpegError as error:
            raise self._fault(after_seek, time + 1 / self.info.fps, reason(error)) from error

    def _time(self, frame: av.VideoFrame, count: int) -> float:
        """Presentation time in seconds; streams without usable times count their frames."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None or not self.info.seekable:
            return self.info.start_s + count / self.info.fps
        return float(stamp * (self._stream.time_base or 1))

    def _count_frames(self) -> None:
        """Go by the order of decoding from here on: the times that this file states do not ascend."""
        self.info = replace(self.info, seekable=False)
        self._seeks = False
        self._reopen()

    def _picture(self, frame: av.VideoFrame, height: int, width: int) -> NDArray[np.uint8]:
        """One frame as RGB (height, width, 3), turned as displayed."""
        stored_height, stored_width = self.info.orientation.size(height, width)
        try:
            picture = frame.to_ndarray(
                format="rgb24",
                width=stored_width,
                height=stored_height,
                interpolation=INTERPOLATION,
                threads=1,  # a pool of threads cannot be freed in a process that is forked off later
            )
        except (FFmpegError, ValueError) as error:  # a colour matrix or a pixel format that swscale lacks
            raise InputError(
                f"cannot convert the pictures of {self.info.path} to RGB",
                f"pixel format {frame.format.name}, colour space {int(frame.colorspace)}: {reason(error)}",
                f"ffmpeg -i {self.info.path} -pix_fmt yuv420p -colorspace bt709 new.mp4",
            ) from error
        return self.info.orientation.apply(picture.astype(np.uint8, copy=False))

    def _fault(self, after_seek: bool, time: float, why: str) -> Exception:
        """The error for a frame that cannot be had; after a seek, the seek may be the reason."""
        if after_seek:
            return _UnsoundSeekError()
        return InputError(
            f"{self.info.path} is damaged at {max(0.0, time - self.info.start_s):.2f} s",
            why,
            REENCODE.format(self.info.path),
        )

    def _reopen(self) -> None:
        """Open the file afresh, at its beginning."""
        self._stack.close()
        self._container, self._stream = self._stack.enter_context(open_video(self.info.path))


def _duration(frame: av.VideoFrame, fps: float) -> float:
    """For how long the last frame stands: its own duration, and two grid steps for containers that round."""
    own = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
    return max(own, 2 / fps)


def read_frames(
    path: Path | str, indices: Sequence[int] | NDArray[np.int64], size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Decode chosen frames of a file; see `FrameReader.read` for arguments, result and errors."""
    with FrameReader(path) as reader:
        return reader.read(indices, size)
