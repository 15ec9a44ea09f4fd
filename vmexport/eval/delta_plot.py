"""Pictures and films of delta maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vmexport.errors import UsageError
from vmexport.eval.step_sizes import DeltaMaps
from vmexport.files import atomic_write
from vmexport.package import VERSION
from vmexport.video.encode import ENCODER, require_encoder

COLUMNS = 8
"""Moments of the clip side by side in a picture; of more tubelets an even selection."""

COLOURS, OPACITY = "inferno", 0.62
FILM_FPS, DPI = 4, 110
PICTURE, FILM = ".png", ".mp4"


def write_delta(maps: DeltaMaps, path: Path | str) -> None:
    """Write a PNG (moments side by side) or an MP4 (one moment after the other), by the file's ending.

    Every row (a layer and a direction) has its own colour scale, drawn beside it, from the smallest to the
    largest delta over all moments of the clip.

    Raises:
        UsageError: another ending.
        EnvironmentProblem: this PyAV cannot encode H.264.
        InputError: the place cannot be written.
        BuildError: the disk is full.
    """
    path = Path(path)
    if path.suffix.lower() == PICTURE:
        moments = maps.values.shape[2]
        shown = np.unique(np.linspace(0, moments - 1, min(COLUMNS, moments)).round().astype(int))
        figure = _draw(maps, [int(moment) for moment in shown])
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format="png")
    elif path.suffix.lower() == FILM:
        _write_film(maps, path)
    else:
        raise UsageError(
            f"cannot write {path}", f"expected a file that ends in {PICTURE} or {FILM}", "-o delta.png"
        )


def _draw(maps: DeltaMaps, moments: list[int]) -> Figure:
    """A row of frames, then a row for each layer and direction, with a column for each moment."""
    rows = [(layer, s) for layer in range(len(maps.layers)) for s in range(len(maps.directions))]
    figure = Figure(
        figsize=(1.25 * len(moments) + 2.6, 1.25 * (1 + len(rows)) + 0.6), dpi=DPI, layout="constrained"
    )
    axes = figure.subplots(1 + len(rows), len(moments), squeeze=False)
    for column, moment in enumerate(moments):
        axes[0, column].imshow(maps.frames[moment * maps.tubelet])
        axes[0, column].set_title(f"frame {moment * maps.tubelet}", fontsize=8)
    axes[0, 0].set_ylabel("clip", fontsize=8)
    for own, (layer, s) in zip(axes[1:], rows, strict=True):
        shade = _draw_row(maps, maps.values[layer, s], moments, own)
        own[0].set_ylabel(f"layer {maps.layers[layer]}\n{maps.directions[s]}", fontsize=7)
        bar = figure.colorbar(shade, ax=own, pad=0.01, aspect=12)
        bar.set_label("mean Δ", fontsize=7)
        bar.ax.tick_params(labelsize=6)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle("Δ of each token, mean over channels; each row has the scale beside it", fontsize=9)
    figure.supxlabel(f"{maps.source}; vmexport {VERSION}", fontsize=7, color="0.35")
    return figure


def _draw_row(maps: DeltaMaps, values: NDArray[np.float32], moments: list[int], axes: NDArray[Any]) -> Any:
    """One layer and direction, `values` (n_t, n_h, n_w); returns what its colour bar describes."""
    side = maps.frames.shape[1]
    for axis, moment in zip(axes, moments, strict=True):
        grey = maps.frames[moment * maps.tubelet].mean(axis=-1)
        axis.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=(0, side, side, 0))
        shade = axis.imshow(
            values[moment], cmap=COLOURS, alpha=OPACITY, vmin=values.min(), vmax=values.max(),
            extent=(0, side, side, 0), interpolation="nearest",
        )  # fmt: skip
    return shade


def _write_film(maps: DeltaMaps, path: Path) -> None:
    """H.264, one picture a tubelet."""
    require_encoder()
    pictures = [_picture(_draw(maps, [moment])) for moment in range(maps.values.shape[2])]
    with atomic_write(path) as temporary, av.open(str(temporary), "w") as container:
        stream = container.add_stream(ENCODER, rate=FILM_FPS, options={"crf": "18"})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _picture(figure: Figure) -> NDArray[np.uint8]:
    """A figure as RGB pixels, of even height and width as H.264 wants them."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    height, width = (side - side % 2 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])
