"""What a video says of itself, and the time line that frame indices refer to."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from vmexport.errors import InputError
from vmexport.video.container import REENCODE, open_video, reason
from vmexport.video.orientation import Orientation, orientation_of

TAIL_S = 2.0
"""How far before the declared end the search for the true end begins, in seconds."""


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
        frames_exact: True if counted by the container or by us, False if duration times rate.
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
    """Read the header and decode one frame; where the header states no frame count, look at the end too.

    Raises:
        InputError: the file is no complete, decodable video.
    """
    path = Path(path)
    with open_video(path) as (container, stream):
        first = _first_frame(container, stream, path)
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        if not rate or rate <= 0:
            raise InputError(f"{path} states no frame rate", "", f"ffmpeg -i {path} -r 25 new.mp4")
        fps = float(rate)
        stamped = first.pts is not None
        start = float((first.pts or 0) * (stream.time_base or 1))
        frames, exact = _frames(container, stream, path, start, fps) if stamped else (_count(path), True)
        orientation = orientation_of(first)
        height, width = orientation.size(first.height, first.width)
        return VideoInfo(
            path,
            width,
            height,
            frames,
            exact,
            frames / fps,
            fps,
            start,
            stream.codec_context.name,
            orientation,
            stamped,
        )


def _first_frame(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> av.VideoFrame:
    """The first frame that decodes."""
    try:
        for frame in container.decode(stream):
            return frame
    except FFmpegError as error:
        raise InputError(f"{path} breaks at its first frame", reason(error), REENCODE.format(path)) from error
    raise InputError(f"{path} holds no frame", "the decoder returned none", REENCODE.format(path))


def _frames(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, start: float, fps: float
) -> tuple[int, bool]:
    """Number of frames, and whether it is a count."""
    time_base = stream.time_base or Fraction(1, 1)
    if stream.frames > 0:
        if not stream.duration:
            return stream.frames, True
        shown = max(1, round(float(stream.duration * time_base) * fps))  # an edit list may hide stored frames
        return (stream.frames, True) if abs(shown - stream.frames) <= 1 else (shown, False)
    end, end_of_all = _ends(container, stream)
    declared = (container.duration or 0) / av.time_base
    container_start = (container.start_time or 0) / av.time_base
    if declared - (end_of_all - container_start) > max(0.5, 2 / fps):
        raise InputError(
            f"{path} is cut off",
            f"its header promises {declared:.2f} s, its data ends at {end_of_all - container_start:.2f} s",
            "download or copy it again",
        )
    return max(1, round((end - start) * fps)), False


def _ends(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float, float]:
    """End of the picture and of all streams in seconds, from packets near the end; nothing is decoded."""
    if container.duration:
        target = (container.start_time or 0) + container.duration - int(TAIL_S * av.time_base)
        try:
            container.seek(max(target, container.start_time or 0))
        except FFmpegError:
            container.seek(container.start_time or 0)
    ends = _last_packets(container, stream)
    if (
        ends[0] == 0.0
    ):  # the seek went behind the last picture: a cut file, or a picture shorter than its sound
        container.seek(container.start_time or 0)
        ends = _last_packets(container, stream)
    return ends


def _last_packets(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float, float]:
    """Largest end time of a packet of `stream`, and of any stream, from here to the end of the file."""
    end = end_of_all = 0.0
    try:
        for packet in container.demux():
            if packet.pts is None or packet.time_base is None:
                continue
            time = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            end_of_all = max(end_of_all, time)
            if packet.stream_index == stream.index:
                end = max(end, time)
    except FFmpegError:
        pass  # the data ends here; the caller compares with what the header promises
    return end, end_of_all


def _count(path: Path) -> int:
    """Frames of a stream without times (raw H.264): its packets, counted without decoding."""
    with open_video(path) as (fresh, picture):
        return max(1, sum(1 for packet in fresh.demux(picture) if packet.size))
