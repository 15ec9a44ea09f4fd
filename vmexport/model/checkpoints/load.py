"""`load_checkpoint`: any supported file to a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vmexport.config import Architecture, ModelInfo, Preprocessing
from vmexport.config.choices import Sampling
from vmexport.errors import InputError
from vmexport.model.checkpoints.adapt import Changes, adapt
from vmexport.model.checkpoints.foreign import convert
from vmexport.model.checkpoints.infer import PATCH, Reading
from vmexport.model.checkpoints.reading import RawCheckpoint, read_checkpoint
from vmexport.model.checkpoints.validate import check_keys, check_tensor
from vmexport.model.network import VideoMamba

IMAGE_CROP = 0.875
"""Side of the crop over the picture's shorter side when ImageNet models are evaluated (DeiT, Vim)."""


def load_checkpoint(
    path: Path | str,
    *,
    trust_pickle: bool = False,
    weights: str | None = None,
    interpolate_time: bool = False,
    interpolate_space: bool = False,
    init_position: str = "expanding",
    sampling: str | None = None,
    reading: Reading | None = None,
    **overrides: Any,
) -> VideoMamba:
    """Load a model: our `.safetensors`, or a Vim or OpenGVLab VideoMamba checkpoint.

    A foreign checkpoint's sizes are read off its shapes. Where neither a shape nor a model name in it tells
    Vim (class token in the middle, sum of the directions halved) from OpenGVLab's image models (class token
    first, plain sum), `cls_position` and `scale` have to. An image model becomes a video model when `frames`
    and `tubelet` are overridden (paper sections 4.1 and 4.2). `model.notes` says what was changed.

    Args:
        path: the file.
        trust_pickle: unpickle without restriction; this runs code in the file. Never for files of strangers.
        weights: "model" or "ema", where a file holds the weights as trained and their average; None takes the
            trained ones.
        interpolate_time: stretch a temporal embedding linearly when `frames` asks for another number of
            layers.
        interpolate_space: carry a positional embedding to another `size`, bicubically.
        init_position: from an image's positional embedding to a video's: "expanding", "interpolate-space",
            "interpolate-dim" or "random".
        sampling: which frames of a video the model takes, "dense" or "uniform" (`Preprocessing`); None keeps
            what the file says, and takes what OpenGVLab's recipes do for its video checkpoints: uniform.
        reading: where the file has its class token and the scale of its directions' sum, where no shape shows
            it and `cls_position` or `scale` are to be others in the model; None goes by those.
        **overrides: settings of `Architecture` to change; None stands for no change. Adaptable are frames,
            tubelet, cls_position, scale, num_classes (another number makes a fresh head), directions (as
            many), norm_eps, position, and size where no learned positional embedding fixes it.

    Returns:
        The model, in float32 on the CPU, in evaluation mode.

    Raises:
        InputError: the file is missing, damaged, holds more than weights, or fits no supported model, or two;
            or the change of frames needs `interpolate_time`.
        UsageError: an override that does not exist, is out of range, or that the weights fix.
    """
    overrides = {name: value for name, value in overrides.items() if value is not None}
    changes = Changes(interpolate_time, interpolate_space, init_position)
    raw = read_checkpoint(Path(path), trust_pickle, weights)
    if PATCH in raw.tensors:
        source, tensors, notes = convert(raw, overrides, reading)
        info = ModelInfo(source, preprocessing=_preprocessing(source))
        if info.preprocessing.sampling == Sampling.UNIFORM and sampling is None:
            how = "frames are taken uniformly over the whole video, as OpenGVLab trains"
            notes.append(f"{how} (sampling=dense changes it)")
    else:
        info, tensors = _read_own(raw)
        source, notes = info.architecture, []
    if sampling is not None:
        info = replace(info, preprocessing=replace(info.preprocessing, sampling=sampling))
    target = source.with_overrides(**overrides)
    if "head.weight" not in tensors and "num_classes" not in overrides:
        raise InputError(
            f"{raw.path.name} has no classification head",
            "; ".join(["missing key head.weight: it is a backbone to start a training from", *notes]),
            f"vmexport train --data DIR --init {raw.path}   (or --classes N for a random head)",
        )
    adapted, changed = adapt(tensors, source, target, changes)
    return _build(info, target, adapted, (*raw.notes, *notes, *changed))


def _preprocessing(source: Architecture) -> Preprocessing:
    """How the released models of a foreign checkpoint's family take pictures and videos in."""
    if source.frames == 1:
        return Preprocessing(resize=round(source.size / IMAGE_CROP))
    return Preprocessing(sampling=Sampling.UNIFORM.value)


def _read_own(raw: RawCheckpoint) -> tuple[ModelInfo, dict[str, Tensor]]:
    """Check one of our own files against the architecture in its metadata."""
    info = ModelInfo.from_metadata(raw.metadata, str(raw.path))
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in VideoMamba(info.architecture).state_dict().items()}
    check_keys(raw.tensors, shapes, raw.path.name)
    source = raw.path.name
    return info, {
        name: check_tensor(name, raw.tensors[name], shape, source) for name, shape in shapes.items()
    }


def _build(
    info: ModelInfo, architecture: Architecture, weights: dict[str, Tensor], notes: tuple[str, ...]
) -> VideoMamba:
    """A model with the given weights, which fit by construction."""
    model = VideoMamba(architecture, initial=False)
    model.load_state_dict(weights, strict=True)
    same_classes = architecture.num_classes == info.architecture.num_classes
    model.info = replace(info, architecture=architecture, labels=info.labels if same_classes else ())
    model.notes = notes
    return model.eval()
