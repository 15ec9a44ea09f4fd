"""The model that a run starts with: random weights, or those of a checkpoint (paper sections 4.1, 4.2)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vmexport.config import Architecture, ModelInfo
from vmexport.model import VideoMamba, load_checkpoint
from vmexport.model.checkpoints.infer import Reading
from vmexport.train.card import RunSettings
from vmexport.train.request import TrainingRequest

FROM_CARD = ("frames", "size", "tubelet", "cls_position", "position", "directions")
"""Settings in which an image model follows the card, a video model in its frames alone.

Both follow explicit changes, or refuse them where the weights fix the setting."""


def starting_model(
    request: TrainingRequest, settings: RunSettings, classes: tuple[str, ...]
) -> tuple[VideoMamba, list[str]]:
    """Make the model.

    Args:
        request: says where weights come from, and how positions are carried over.
        settings: the card's, with the number of classes set.
        classes: names, in label order.

    Returns:
        The model in training mode, on the CPU, its `info` complete; and sentences about its weights.

    Raises:
        InputError: the checkpoint is not usable, or it is of another number of frames.
        UsageError: a setting that its weights fix.
    """
    if request.init is None:
        model, notes = VideoMamba(settings.architecture, seed=settings.recipe.seed), list[str]()
    else:
        model, notes = _from_checkpoint(Path(request.init), request, settings, classes)
    model.info = ModelInfo(model.architecture, labels=classes, preprocessing=settings.preprocessing)
    return model.train(), notes


def _from_checkpoint(
    path: Path, request: TrainingRequest, settings: RunSettings, classes: tuple[str, ...]
) -> tuple[VideoMamba, list[str]]:
    """Weights of a file; the head is new unless it was trained for the very same classes."""
    wanted = settings.architecture
    source = load_checkpoint(
        path,
        num_classes=wanted.num_classes,
        cls_position=request.init_cls_position,
        scale=request.init_scale,
        weights=request.init_weights,
    )
    followed = FROM_CARD if source.architecture.frames == 1 else ("frames",)
    explicit = (name.partition(".")[2] for name in request.settings if name.startswith("architecture."))
    overrides: dict[str, Any] = {
        name: getattr(wanted, name) for name in ("num_classes", *followed, *explicit)
    }
    model = load_checkpoint(
        path,
        weights=request.init_weights,
        interpolate_space=request.interpolate_space,
        interpolate_time=request.interpolate_time,
        init_position=request.init_position,
        reading=Reading(source.architecture.cls_position, source.architecture.scale),
        **overrides,
    )
    notes = [f"started from the weights of {path}", *_said(source), *model.notes]
    if model.info.labels != classes and not any("head is new" in note for note in notes):
        _fresh_head(model, settings.recipe.seed)
        notes.append("the head is new: the checkpoint was trained for other classes, or does not name them")
    return model, notes + _differing(model.architecture, wanted)


def _said(source: VideoMamba) -> list[str]:
    """How an image model's file was read, where it could have been read otherwise."""
    return [note for note in source.notes if "class token" in note and "scale" in note]


def _fresh_head(model: VideoMamba, seed: int) -> None:
    """Random weights for the head, as a new model has them."""
    generator = torch.Generator().manual_seed(seed)
    nn.init.trunc_normal_(model.head.weight, std=0.02, generator=generator)
    nn.init.zeros_(model.head.bias)


def _differing(have: Architecture, card: Architecture) -> list[str]:
    """A note where the checkpoint's own settings took the place of the card's."""
    mine, other = have.to_dict(), card.to_dict()
    names = [name for name in mine if mine[name] != other[name]]
    if not names:
        return []
    pairs = ", ".join(f"{name} {mine[name]} instead of {other[name]}" for name in names)
    return [f"the checkpoint's architecture takes the place of the card's: {pairs}"]


def with_architecture(settings: RunSettings, model: VideoMamba) -> RunSettings:
    """The settings with the architecture that the model has in the end."""
    return replace(settings, architecture=model.architecture)
