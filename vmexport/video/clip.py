"""From a video file to the input of a model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmexport.config import Architecture, Preprocessing
from vmexport.config.budget import MOST_VALUES
from vmexport.errors import InputError, UsageError
from vmexport.video.decode import FrameReader
from vmexport.video.sampling import Views, clip_indices, parse_views
from vmexport.video.transform import crops, normalise, resized_size, shorter_side


def load_clips(
    path: Path | str,
    architecture: Architecture,
    preprocessing: Preprocessing | None = None,
    views: str | Views = "1x1",
) -> NDArray[np.float32]:
    """Sample, decode, resize, crop and normalise the views of one video.

    The shorter side is resized by swscale's bilinear filter, the aspect ratio kept. A video with fewer frames
    than a clip spans repeats its last frame (dense sampling) or every so many (uniform); a picture file
    repeats its only one.

    Args:
        path: a video or picture file.
        architecture: gives the frames `T` and the size of the input.
        preprocessing: sampling, stride, resize, mean and std; None takes the defaults.
        views: clips x crops, such as "2x3".

    Returns:
        (V, 3, T, size, size) float32; view `clip * crops + crop`.

    Raises:
        UsageError: the views cannot be read or are too many, or resize is below the model's size.
        InputError: the file is no complete, decodable video, or the model does not take RGB.
    """
    views, preprocessing = parse_views(views), preprocessing or Preprocessing()
    if architecture.in_channels != 3:
        raise InputError(
            "the model does not take RGB frames", f"it has {architecture.in_channels} input channels"
        )
    side, size = shorter_side(architecture, preprocessing), architecture.size
    values = views.total * math.prod(architecture.clip_shape)
    if values > MOST_VALUES:
        raise UsageError(
            f"too many views of one video: {views}",
            f"{views.total} views of {math.prod(architecture.clip_shape)} values are {values}, at most "
            f"{MOST_VALUES} are made",
            "for example --views 1x1",
        )
    with FrameReader(path) as reader:
        info = reader.info
        height, width = resized_size(info.height, info.width, side)
        indices = clip_indices(info.frames, architecture.frames, preprocessing, views.clips)
        frames = reader.read(indices.reshape(-1), (height, width))
    frames = frames.reshape(*indices.shape, height, width, 3)
    out = np.empty((views.total, *architecture.clip_shape), dtype=np.float32)
    for clip, clip_frames in enumerate(frames):
        for crop, cropped in enumerate(crops(clip_frames, size, views.crops)):
            normalise(cropped, preprocessing, out[clip * views.crops + crop])
    return out
