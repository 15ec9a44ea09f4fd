"""What a video says of itself, and the time line that frame indices refer to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError

from vmexport.errors import InputError
from vmexport.video.cadence import cadence_of
from vmexport.video.container import REENCODE, open_video, reason
from vmexport.video.orientation import Orientation, orientation_of

MOST_FRAMES = 1 << 24
"""Of one film; at 60 a second, three days of them."""


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
        note: what the header claims and the data does not hold, in words; empty where they agree.
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
    note: str = ""

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
        timed = first.pts is not None and _has_display_times(container, stream)
        start = float((first.pts or 0) * (stream.time_base or 1)) if timed else 0.0
        cadence = cadence_of(container, stream, path, start if timed else None)
        if cadence.frames > MOST_FRAMES:
            raise InputError(
                f"{path} is too long",
                f"it has {cadence.frames} frames, at most {MOST_FRAMES} are read",
                f"cut it: ffmpeg -i {path} -c copy -f segment -segment_time 3600 part%d.mp4",
            )
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
            seekable=timed,
            note=cadence.note,
        )


def _has_display_times(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """Whether the container says when a frame is shown.

    AVI numbers frames as they are stored. Where a codec stores them in another order than it shows them, the
    times that FFmpeg makes up from those numbers do not ascend.
    """
    return not (container.format.name == "avi" and stream.codec_context.has_b_frames)


def _first_frame(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> av.VideoFrame:
    try:
        for frame in container.decode(stream):
            return frame
    except FFmpegError as error:
        raise InputError(f"{path} breaks at its first frame", reason(error), REENCODE.format(path)) from error
    raise InputError(f"{path} holds no frame", "the decoder returned none", REENCODE.format(path))
