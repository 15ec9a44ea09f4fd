"""What a video says of itself, and the time line that frame indices refer to."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError

from vmexport.errors import InputError
from vmexport.video.container import REENCODE, open_video, reason
from vmexport.video.orientation import Orientation, orientation_of

TAIL_S = 2.0
"""How far before the declared end the search for the true end begins, in seconds."""

MAX_RATE = 240.0
"""Frames a second that a header may claim without being counted; browsers' recordings claim 1000."""


@dataclass(frozen=True)
class Cadence:
    """Number of frames, whether it is a count, and the average rate a second."""

    frames: int
    exact: bool
    fps: float


@dataclass(frozen=True)
class VideoInfo:
    """A video and its time line.

    Frame index `i` stands for the interval from `i / fps` to `(i + 1) / fps` after the first frame, and means
    the picture on show in the middle of it. At a constant frame rate this is the i-th stored frame; at a
    variable rate it is a regular grid of presentation times at the average rate. Pixels are taken as square.

    Attributes:
        path: the file.
        width: pixels, as displayed (after rotation).
        height: pixels, as displayed.
        frames: number of grid frames, at least 1.
        frames_exact: True if counted, by the container or by reading it; False if duration times rate.
        duration_s: seconds from the first frame to the end of the last.
        fps: average frames a second.
        start_s: presentation time of the first frame on the container's clock.
        codec: FFmpeg's name of the codec.
        orientation: how stored pictures are turned for display.
        seekable: whether frames carry times, so that reading can start in the middle.
    """

    path: Path
    width: int
    height: int
    frames: int
    frames_exact: bool
    duration_s: float
    fps: float
    start_s: float
    codec: str
    orientation: Orientation
    seekable: bool

    @property
    def rotation(self) -> int:
        """Clockwise degrees by which stored pictures are turned for display."""
        return self.orientation.rotation

    def time_of(self, index: int) -> float:
        """Middle of the interval of a frame index, in seconds on the container's clock."""
        return self.start_s + (index + 0.5) / self.fps


def probe(path: Path | str) -> VideoInfo:
    """Read the header and decode one frame; where the header states no frame count, look at the packets too.

    Raises:
        InputError: the file is no complete, decodable video.
    """
    path = Path(path)
    with open_video(path) as (container, stream):
        first = _first_frame(container, stream, path)
        rate = float(stream.average_rate or stream.guessed_rate or stream.base_rate or 0)
        if rate <= 0:
            raise InputError(f"{path} states no frame rate", "", f"ffmpeg -i {path} -r 25 new.mp4")
        start = float((first.pts or 0) * (stream.time_base or 1))
        if first.pts is None:
            cadence = Cadence(_count_packets(path), True, rate)
        elif stream.frames > 0:
            cadence = _declared(container, stream, start, rate)
        else:
            cadence = _measured(container, stream, path, start, rate)
        orientation = orientation_of(first)
        height, width = orientation.size(first.height, first.width)
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            frames=cadence.frames,
            frames_exact=cadence.exact,
            duration_s=cadence.frames / cadence.fps,
            fps=cadence.fps,
            start_s=start,
            codec=stream.codec_context.name,
            orientation=orientation,
            seekable=first.pts is not None,
        )


def _first_frame(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> av.VideoFrame:
    """The first frame that decodes."""
    try:
        for frame in container.decode(stream):
            return frame
    except FFmpegError as error:
        raise InputError(f"{path} breaks at its first frame", reason(error), REENCODE.format(path)) from error
    raise InputError(f"{path} holds no frame", "the decoder returned none", REENCODE.format(path))


def _steady(stream: av.VideoStream) -> bool:
    """Whether the header claims a constant, believable rate (the base rate may count fields, two a frame)."""
    average, base = float(stream.average_rate or 0), float(stream.base_rate or 0)
    return 0 < average <= MAX_RATE and min(abs(base / average - 1), abs(base / average - 2)) < 1e-3


def _declared(
    container: av.container.InputContainer, stream: av.VideoStream, start: float, rate: float
) -> Cadence:
    """Frames and rate of a container that counts its frames (mp4, mov, avi)."""
    duration_s = float((stream.duration or 0) * (stream.time_base or 1))
    if duration_s <= 0:
        return Cadence(stream.frames, True, rate)
    if not _steady(stream):  # headers get the length wrong where frames are both reordered and uneven
        end = _Packets(container, stream, tail_only=True).end
        return Cadence(stream.frames, True, stream.frames / max(duration_s, end - start))
    shown = max(1, round(duration_s * rate))
    if abs(shown - stream.frames) <= 1:
        return Cadence(stream.frames, True, rate)
    return Cadence(shown, False, rate)  # an edit list hides some of the stored frames


def _measured(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, start: float, rate: float
) -> Cadence:
    """Frames and rate of a container that does not count (mkv, webm, ts, flv): where do its packets end?

    A steady rate needs the packets near the end only; otherwise all are counted. Nothing is decoded.
    """
    steady = _steady(stream)
    packets = _Packets(container, stream, tail_only=steady)
    declared_s = (container.duration or 0) / av.time_base
    found_s = packets.end_of_all - (container.start_time or 0) / av.time_base
    if declared_s - found_s > max(0.5, 2 / rate):
        raise InputError(
            f"{path} is cut off",
            f"its header promises {declared_s:.2f} s, its data ends at {max(0.0, found_s):.2f} s",
            "download or copy it again",
        )
    length_s = packets.end - start
    if steady or packets.count < 2 or length_s <= 0:
        return Cadence(max(1, round(length_s * rate)), False, rate)
    return Cadence(packets.count, True, packets.count / length_s)


class _Packets:
    """The packets near the end of a file, or all of them.

    Attributes:
        count: packets of the picture that were met.
        end: largest end time of a packet of the picture, in seconds.
        end_of_all: the same over all streams.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, tail_only: bool
    ) -> None:
        beginning = container.start_time or 0
        tail = beginning + (container.duration or 0) - int(TAIL_S * av.time_base)
        self._read(container, stream, max(tail, beginning) if tail_only else beginning)
        if not self.count:  # no picture there: the file is cut, or its sound outlasts its picture
            self._read(container, stream, beginning)

    def _read(self, container: av.container.InputContainer, stream: av.VideoStream, position: int) -> None:
        """Read on from a position in microseconds until the data ends."""
        self.count, self.end, self.end_of_all = 0, 0.0, 0.0
        with contextlib.suppress(FFmpegError):  # the data ends there; the caller compares with the header
            container.seek(position)
            for packet in container.demux():
                if packet.pts is None or packet.time_base is None:
                    continue
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self.end_of_all = max(self.end_of_all, end)
                if packet.stream_index == stream.index:
                    self.count += 1
                    self.end = max(self.end, end)


def _count_packets(path: Path) -> int:
    """Frames of a stream without times (raw H.264): its packets, counted without decoding."""
    with open_video(path) as (container, stream):
        return max(1, sum(1 for packet in container.demux(stream) if packet.size))
