"""How many frames a video has, and how many a second: by its header, or else by its packets."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError

from vmexport.errors import InputError
from vmexport.video.container import open_video

TAIL_S = 2.0
"""How far before the declared end the search for the true end begins, in seconds."""

CUT_S = 0.25
"""Seconds (or else two frames) that may be missing at the end before an unindexed file counts as cut."""

MAX_RATE = 240.0
"""Frames a second that a header may claim without being counted; browsers' recordings claim 1000."""


@dataclass(frozen=True)
class Cadence:
    """Number of frames, whether it is a count, and the average rate a second."""

    frames: int
    exact: bool
    fps: float


def cadence_of(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, start: float | None
) -> Cadence:
    """Frames and rate of the picture; nothing is decoded, but the container is read and moved.

    Args:
        container: open.
        stream: its picture.
        path: the file.
        start: presentation time of the first frame in seconds, or None where frames carry no times.

    Raises:
        InputError: the file is cut off, or states no frame rate.
    """
    rate = float(stream.average_rate or stream.guessed_rate or stream.base_rate or 0)
    if rate <= 0:
        raise InputError(f"{path} states no frame rate", "", f"ffmpeg -i {path} -r 25 new.mp4")
    if start is None:
        return Cadence(_count_packets(path), True, rate)
    if stream.frames > 0:
        return _declared(container, stream, path, start, rate)
    return _measured(container, stream, path, start, rate)


def _steady(stream: av.VideoStream) -> bool:
    """Whether the header claims a constant, believable rate (the base rate may count fields, two a frame)."""
    average, base = float(stream.average_rate or 0), float(stream.base_rate or 0)
    return 0 < average <= MAX_RATE and min(abs(base / average - 1), abs(base / average - 2)) < 1e-3


def _declared(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, start: float, rate: float
) -> Cadence:
    """Frames and rate of a container that counts its frames (mp4, mov, avi)."""
    duration_s = float((stream.duration or 0) * (stream.time_base or 1))
    if duration_s <= 0:
        return Cadence(stream.frames, True, rate)
    if not _steady(stream):  # headers get the length wrong where frames are both reordered and uneven
        end = _Packets(container, stream, tail_only=True).end
        return Cadence(stream.frames, True, stream.frames / max(duration_s, end - start))
    if len(stream.index_entries) < stream.frames:  # an avi file keeps its index at its end
        _check_end(container, _Packets(container, stream, tail_only=True), path, stream.frames / rate, rate)
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
    _check_end(container, packets, path, (container.duration or 0) / av.time_base, rate)
    length_s = packets.end - start
    if steady or packets.count < 2 or length_s <= 0:
        return Cadence(max(1, round(length_s * rate)), False, rate)
    return Cadence(packets.count, True, packets.count / length_s)


def _check_end(
    container: av.container.InputContainer, packets: _Packets, path: Path, declared_s: float, rate: float
) -> None:
    """Refuse a file whose data ends well before the length that its header states."""
    found_s = packets.end_of_all - (container.start_time or 0) / av.time_base
    if declared_s - found_s > max(CUT_S, 2 / rate):
        raise InputError(
            f"{path} is cut off",
            f"its header promises {declared_s:.2f} s, its data ends at {max(0.0, found_s):.2f} s",
            "download or copy it again",
        )


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
