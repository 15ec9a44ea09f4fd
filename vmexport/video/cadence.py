"""How many frames a video has, and how many a second: by its header, or else by its packets."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError

from vmexport.errors import InputError
from vmexport.video.container import open_video

TAIL_S = 2.0
"""How far before the declared end the search for the true end begins, in seconds."""

SHORT_S = 0.25
"""Seconds (or else two frames) by which a header may be longer than the data without a remark."""

MAX_RATE = 240.0
"""Frames a second that a header may claim without being counted; browsers' recordings claim 1000."""


@dataclass(frozen=True)
class Cadence:
    """Number of frames, whether it is a count, the average rate a second, and a remark or an empty string."""

    frames: int
    exact: bool
    fps: float
    note: str = ""


def cadence_of(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, start: float | None
) -> Cadence:
    """Frames and rate of the picture, without decoding. What is there counts, not what a header claims.

    Args:
        container: open.
        stream: its picture.
        path: the file.
        start: presentation time of the first frame in seconds, or None where frames carry no usable times.

    Raises:
        InputError: the file states no frame rate.
    """
    rate = float(stream.average_rate or stream.guessed_rate or stream.base_rate or 0)
    if rate <= 0:
        raise InputError(f"{path} states no frame rate", "", f"ffmpeg -i {path} -r 25 new.mp4")
    if start is None:  # raw H.264, AVI with reordered frames
        return Cadence(max(1, _Packets(container, path, tail_only=False).count), True, rate)
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
        end = _Packets(container, path, tail_only=True).end
        return Cadence(stream.frames, True, stream.frames / max(duration_s, end - start))
    shown = max(1, round(duration_s * rate))
    if len(stream.index_entries) < stream.frames:  # frames that the index lacks cannot be read
        packets = _Packets(container, path, tail_only=True)
        note = _remark(stream.frames / rate, packets.end - start, rate)
        if note:
            return Cadence(max(1, round((packets.end - start) * rate)), False, rate, note)
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
    packets = _Packets(container, path, tail_only=steady)
    found_s = packets.end_of_all - (container.start_time or 0) / av.time_base
    note = _remark((container.duration or 0) / av.time_base, found_s, rate)
    length_s = packets.end - start
    if steady or packets.count < 2 or length_s <= 0:
        return Cadence(max(1, round(length_s * rate)), False, rate, note)
    return Cadence(packets.count, True, packets.count / length_s, note)


def _remark(declared_s: float, found_s: float, rate: float) -> str:
    """What to say of a header that claims more than the file holds; empty where it does not."""
    if declared_s - found_s <= max(SHORT_S, 2 / rate):
        return ""
    return f"its header promises {declared_s:.2f} s, its data ends at {max(0.0, found_s):.2f} s"


class _Packets:
    """The packets near the end of a file, or all of them.

    Attributes:
        count: packets of the picture that were met.
        end: largest end time of a packet of the picture, in seconds.
        end_of_all: the same over all streams.
    """

    def __init__(self, container: av.container.InputContainer, path: Path, tail_only: bool) -> None:
        tail = (container.start_time or 0) + (container.duration or 0) - int(TAIL_S * av.time_base)
        if tail_only and tail > (container.start_time or 0):
            self._read(path, tail)
            if self.end - self._begin > TAIL_S / 2:
                return
        # No picture there, or so little that a reordered frame of it may lie before: its sound outlasts it,
        # or the file is cut.
        self._read(path, None)

    def _read(self, path: Path, position: int | None) -> None:
        """Read on from a position in microseconds, or from the first packet, until the data ends."""
        self.count, self.end, self.end_of_all, self._begin = 0, 0.0, 0.0, math.inf
        with open_video(path) as (container, stream), contextlib.suppress(FFmpegError):
            # An error is the end of the data: decoding meets it too.
            if position is not None:
                container.seek(position)
            for packet in container.demux():
                picture = packet.stream_index == stream.index
                self.count += picture and packet.size > 0
                if packet.pts is None or packet.time_base is None:
                    continue
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self.end_of_all = max(self.end_of_all, end)
                if picture:
                    self.end = max(self.end, end)
                    self._begin = min(self._begin, float(packet.pts * packet.time_base))
