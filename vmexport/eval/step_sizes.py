"""Maps of delta over a clip: how much each token writes into the state (paper section 5.6, Fig. 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vmexport.config import Architecture
from vmexport.errors import InputError, UsageError
from vmexport.model import freeze, resolve_model
from vmexport.model.embedding import class_index
from vmexport.video import load_clips

if TYPE_CHECKING:
    from vmexport.model import VideoMamba

LAYERS = 4
"""Layers shown where none are named, evenly spread from the first to the last."""


@dataclass(frozen=True)
class DeltaRange:
    """Mean delta of the patch tokens in one direction of one block.

    Attributes:
        layer: number of the block, from 0.
        direction: name of the scan direction.
        least: of a token.
        mean: over all tokens.
        largest: of a token.
    """

    layer: int
    direction: str
    least: float
    mean: float
    largest: float


@dataclass(frozen=True)
class DeltaMaps:
    """Mean of delta over the channels, for every patch token.

    Attributes:
        frames: (T, size, size, 3) uint8, the clip that the model saw.
        layers: numbers of the blocks, from 0.
        directions: names of the scan directions.
        values: (layers, S, n_t, n_h, n_w) float32, delta after bias and softplus, without unit.
        tubelet: frames of a tubelet: map `t` belongs to frames `t * tubelet` and the next `tubelet - 1`.
        source: names of model and video, for people.
    """

    frames: NDArray[np.uint8]
    layers: tuple[int, ...]
    directions: tuple[str, ...]
    values: NDArray[np.float32]
    tubelet: int
    source: str = ""

    @property
    def ranges(self) -> tuple[DeltaRange, ...]:
        """Each direction of each layer in three numbers."""
        return tuple(
            DeltaRange(layer, name, float(part.min()), float(part.mean()), float(part.max()))
            for layer, parts in zip(self.layers, self.values, strict=True)
            for name, part in zip(self.directions, parts, strict=True)
        )


def default_layers(depth: int) -> tuple[int, ...]:
    """At most `LAYERS` layers from the first to the last: 0, 8, 15, 23 of 24."""
    return tuple(sorted({round(step * (depth - 1) / max(1, LAYERS - 1)) for step in range(LAYERS)}))


def delta_maps(
    model: str | Path | VideoMamba, video: str | Path, *, layers: Sequence[int] | None = None
) -> DeltaMaps:
    """Compute maps of delta on the middle clip of a video.

    Args:
        model: a checkpoint, a preset's name (random weights) or a network.
        video: a video file.
        layers: numbers of blocks, from 0; None spreads `LAYERS` of them.

    Raises:
        UsageError: a layer that the model does not have.
        InputError: the model or the video cannot be read, or delta is not finite.
    """
    network = resolve_model(model)[0] if isinstance(model, str | Path) else model
    a = network.architecture
    chosen = default_layers(a.depth) if layers is None else tuple(layers)
    if not chosen or any(not 0 <= layer < a.depth for layer in chosen):
        raise UsageError(
            f"the model has no layers {', '.join(map(str, chosen)) or '(none given)'}",
            f"it has {a.depth}, counted from 0 to {a.depth - 1}",
            f"--layers {','.join(map(str, default_layers(a.depth)))}",
        )
    clips = load_clips(video, a, network.info.preprocessing)
    frozen = freeze(network)
    with torch.inference_mode():
        streams = frozen.forward_blocks(torch.from_numpy(clips))
        found = []
        for layer in chosen:
            block = frozen.blocks[layer]
            step_sizes = block.mixer.step_sizes(block.norm(streams[layer]))  # type: ignore[union-attr, operator]
            found.append(_patch_map(step_sizes.mean(dim=-1)[:, 0].numpy(), a))
    values = np.stack(found)
    if not np.isfinite(values).all():
        raise InputError(
            "delta is not finite", "the model's weights or activations overflow", "check: vmexport info MODEL"
        )
    named = Path(model).name if isinstance(model, str | Path) else type(model).__name__
    source = f"{named}, {Path(video).name}"
    return DeltaMaps(_pictures(clips[0], network), chosen, a.directions, values, a.tubelet, source)


def _patch_map(values: NDArray[np.float32], a: Architecture) -> NDArray[np.float32]:
    """(S, L) in token order to (S, n_t, n_h, n_w); the class token has no place in the picture."""
    if a.has_cls:
        values = np.delete(values, class_index(a), axis=1)
    return values.reshape(len(a.directions), *a.grid)


def _pictures(clip: NDArray[np.float32], network: VideoMamba) -> NDArray[np.uint8]:
    """A normalised clip (3, T, H, W) as pictures (T, H, W, 3)."""
    preprocessing = network.info.preprocessing
    mean, std = (np.asarray(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    pixels = clip.transpose(1, 2, 3, 0) * std + mean
    return np.asarray((pixels * 255).round().clip(0, 255), np.uint8)
