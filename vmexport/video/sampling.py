"""Which frames of a video make up a clip, and which views a prediction averages.

Pure functions over frame indices; nothing here opens a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmexport.config import Preprocessing
from vmexport.config.choices import Sampling
from vmexport.errors import UsageError

MAX_VIEWS = 100
"""Most views of one video; at 16 frames of 224 x 224 pixels they take 1 GB as float32."""


@dataclass(frozen=True)
class Views:
    """Test views of one video, written `clips x crops` ("temporal x spatial" in the paper's tables).

    Attributes:
        clips: clips along time, evenly spaced; one is the middle of the video.
        crops: square crops along the longer side of the frame, evenly spaced; one is the centre.
    """

    clips: int = 1
    crops: int = 1

    @property
    def total(self) -> int:
        """Number of views."""
        return self.clips * self.crops

    def __str__(self) -> str:
        return f"{self.clips}x{self.crops}"


def parse_views(text: str | Views) -> Views:
    """Read `2x3`: two clips, three crops of each.

    Raises:
        UsageError: another form, a zero, or more than `MAX_VIEWS` views.
    """
    if isinstance(text, Views):
        views = text
    else:
        match = re.fullmatch(r"\s*([0-9]{1,4})\s*[xX×]\s*([0-9]{1,4})\s*", str(text))
        views = Views(int(match[1]), int(match[2])) if match else Views(0, 0)
    if views.clips < 1 or views.crops < 1:
        raise UsageError(
            f"cannot read the views {str(text)!r}",
            "expected CLIPSxCROPS, two whole numbers of at least 1",
            "for example --views 2x3",
        )
    if views.total > MAX_VIEWS:
        raise UsageError(
            f"too many views: {views}", f"{views.total} views, at most {MAX_VIEWS}", "for example --views 4x3"
        )
    return views


def clip_indices(total: int, frames: int, preprocessing: Preprocessing, clips: int = 1) -> NDArray[np.int64]:
    """Frame indices of the test clips of one video, sampled as the model was trained.

    Args:
        total: frames of the video, at least 1.
        frames: frames `T` of a clip.
        preprocessing: gives sampling and stride.
        clips: number of clips.

    Returns:
        (clips, frames) int64, each row ascending, all within 0 .. total - 1.

    Raises:
        UsageError: a number below 1.
    """
    if preprocessing.sampling == Sampling.UNIFORM:
        return uniform_indices(total, frames, clips)
    return dense_indices(total, frames, preprocessing.stride, clips)


def uniform_indices(total: int, frames: int, clips: int = 1) -> NDArray[np.int64]:
    """Frame indices of test clips that span the whole video, one frame of each of `frames` equal segments.

    The video's length less one frame is divided; a segment begins at the nearest frame. One clip takes the
    middles of the segments; of several, clip `c` lies (c + 1) / (clips + 1) into them, as OpenGVLab's
    VideoMamba samples Kinetics (videomamba/video_sm/datasets, sparse form). A video with fewer frames than
    the clip repeats frames.

    Args:
        total: frames of the video, at least 1.
        frames: frames `T` of a clip.
        clips: number of clips.

    Returns:
        (clips, frames) int64, each row ascending, all within 0 .. total - 1.

    Raises:
        UsageError: a number below 1.
    """
    _check_counts(total=total, frames=frames, clips=clips)
    length = (total - 1) / frames
    starts = np.rint(np.arange(frames) * length).astype(np.int64)
    offsets = (np.arange(1, clips + 1) * (length / (clips + 1))).astype(np.int64)
    indices: NDArray[np.int64] = np.minimum(starts + offsets[:, None], total - 1)
    return indices


def dense_indices(total: int, frames: int, stride: int, clips: int = 1) -> NDArray[np.int64]:
    """Frame indices of test clips whose frames are a fixed number of frames apart (paper section 5.1).

    A clip spans `(frames - 1) * stride + 1` frames of the source. One clip lies in the middle; several
    start at even spacing, the first at the first frame, the last ending at the last frame. Clips overlap
    where the video is short. A video shorter than the span keeps the stride, starts at its first frame
    and repeats its last frame, as VideoMAE and its followers do.

    Args:
        total: frames of the video, at least 1.
        frames: frames `T` of a clip.
        stride: frames of the source between two sampled frames.
        clips: number of clips.

    Returns:
        (clips, frames) int64, each row ascending, all within 0 .. total - 1.

    Raises:
        UsageError: a number below 1.
    """
    _check_counts(total=total, frames=frames, stride=stride, clips=clips)
    room = max(0, total - ((frames - 1) * stride + 1))
    starts = [room // 2] if clips == 1 else [room * clip // (clips - 1) for clip in range(clips)]
    offsets = np.arange(frames, dtype=np.int64) * stride
    indices: NDArray[np.int64] = np.asarray(starts, dtype=np.int64)[:, None] + offsets
    return np.minimum(indices, total - 1, out=indices)


def _check_counts(**counts: int) -> None:
    if min(counts.values()) < 1:
        got = ", ".join(f"{name}={value}" for name, value in counts.items())
        raise UsageError("clip sampling needs numbers of at least 1", f"got {got}")


def crop_starts(length: int, size: int, crops: int) -> list[int]:
    """First pixel of each crop of `size` pixels along a side of `length` pixels.

    One crop is centred; several are evenly spaced from end to end.

    Raises:
        UsageError: the crop is larger than the side, or a number is below 1.
    """
    if not 1 <= size <= length or crops < 1:
        raise UsageError(
            "the crop does not fit the frame", f"{crops} crops of {size} pixels on a side of {length}"
        )
    room = length - size
    return [room // 2] if crops == 1 else [room * crop // (crops - 1) for crop in range(crops)]
