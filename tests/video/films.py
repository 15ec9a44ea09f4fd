"""Films made on the spot: every frame carries its number in its grey levels, to be read back."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vmexport.video import write_film

BASE, STEP, DIGITS = 40, 8, 20


def numbered(index: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """A picture whose left half shows index % 20 and whose right half index // 20, as grey levels."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[:, : width // 2] = BASE + STEP * (index % DIGITS)
    picture[:, width // 2 :] = BASE + STEP * (index // DIGITS)
    return picture


def number_of(picture: NDArray[Any]) -> int:
    """The reverse of `numbered`."""
    width = picture.shape[1]
    halves = picture[:, : width // 2 - 2], picture[:, width // 2 + 2 :]
    low, high = (round((float(half.mean()) - BASE) / STEP) for half in halves)
    return low + DIGITS * high


def moving(index: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Smooth noise that wanders with the index, so that pictures are predicted from others, near and far."""
    moved: NDArray[np.uint8] = np.roll(_smooth_noise(width, height), (index // 3, index), (0, 1))
    return moved


@functools.cache
def _smooth_noise(width: int, height: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.float32)
    places = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    smooth = np.mean([np.roll(noise, place, (0, 1)) for place in places], axis=0)
    stretched = np.interp(smooth, (float(smooth.min()), float(smooth.max())), (0, 255))
    return np.asarray(stretched, dtype=np.uint8)


def film(
    path: Path,
    pictures: int | Iterable[NDArray[np.uint8]] = 60,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: int | Fraction = 25,
    times_ms: Sequence[int] | None = None,
    turn: tuple[float, bool, bool] | None = None,
    sound: bool = False,
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    form: str | None = None,
) -> Path:
    """Encode pictures, or that many numbered ones; `times_ms` gives each its own presentation time."""
    frames = [numbered(index) for index in range(pictures)] if isinstance(pictures, int) else list(pictures)
    with av.open(str(path), "w", format=form, options=muxer or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if times_ms is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if turn is not None:
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        audio: Any = container.add_stream("aac", rate=8000) if sound else None
        for index, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            container.mux(audio.encode(_silence()))
            container.mux(audio.encode(None))
    return path


def _silence(seconds: int = 4) -> av.AudioFrame:
    """Quiet mono sound at 8 kHz."""
    frame = av.AudioFrame.from_ndarray(
        np.zeros((1, 8000 * seconds), np.float32), format="fltp", layout="mono"
    )
    frame.sample_rate = 8000
    return frame


def sound_only(path: Path) -> Path:
    """An .mp4 file with an AAC stream and nothing else."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=8000)
        container.mux(stream.encode(_silence()))
        container.mux(stream.encode(None))
    return path


def write_demo_clip(
    path: Path | str, *, width: int = 320, height: int = 240, frames: int = 64, fps: int = 25, seed: int = 0
) -> Path:
    """A chequered disc that wanders over a drifting background; the seed chooses colours and paths."""
    pictures = (draw_frame(index, width, height, seed) for index in range(frames))
    return write_film(path, pictures, (height, width), fps)


def draw_frame(index: int, width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Picture `index` of the film: (height, width, 3) uint8, RGB."""
    random = np.random.default_rng(seed)
    waves = random.uniform(0.5, 2.5, size=(3, 2)) * 2 * np.pi / np.array([width, height])
    phases, speeds = random.uniform(0, 2 * np.pi, size=3), random.uniform(0.03, 0.12, size=3)
    turns = random.uniform(0.04, 0.09, size=2)
    colour = random.integers(120, 256, size=3)
    y, x = np.mgrid[0:height, 0:width]
    ground = 110 + 70 * np.sin(
        x[..., None] * waves[:, 0] + y[..., None] * waves[:, 1] + phases + index * speeds
    )
    radius = 0.22 * min(width, height)
    centre_x = width / 2 + (width / 2 - radius) * np.sin(turns[0] * index)
    centre_y = height / 2 + (height / 2 - radius) * np.cos(turns[1] * index)
    inside = (x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2
    square = radius / 3
    chequer = (((x - centre_x) // square + (y - centre_y) // square) % 2).astype(bool)
    ground[inside] = np.where(chequer[inside, None], colour, 255 - colour)
    return np.asarray(ground.clip(0, 255), dtype=np.uint8)
