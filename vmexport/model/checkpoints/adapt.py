"""Changing settings on the way in: another frame count, tubelet, read-out or head than the checkpoint's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vmexport.config import Architecture
from vmexport.errors import InputError, UsageError
from vmexport.model.inflate import INIT_POSITIONS, inflate_patch, resize_space, stretch_time, video_positions

FIXED = ("d_model", "depth", "patch_size", "in_channels", "d_state", "d_conv", "expand", "rank", "norm")
"""Settings that the weights' shapes fix."""

LEARNED = ("learned", "separate")


@dataclass(frozen=True)
class Changes:
    """What the caller allows.

    Attributes:
        interpolate_time: a temporal embedding may be stretched to another number of frames.
        interpolate_space: a spatial table may be carried to another size of the picture.
        init_position: how a video's joint table is made out of an image's (`INIT_POSITIONS`).
    """

    interpolate_time: bool = False
    interpolate_space: bool = False
    init_position: str = "expanding"

    def __post_init__(self) -> None:
        if self.init_position not in INIT_POSITIONS:
            raise UsageError(
                f"unknown initialisation of the positional embedding: {self.init_position!r}",
                f"expected one of {', '.join(INIT_POSITIONS)}",
                "use --init-position expanding",
            )


def adapt(
    weights: Mapping[str, Tensor], source: Architecture, target: Architecture, changes: Changes
) -> tuple[dict[str, Tensor], list[str]]:
    """Turn the weights of one architecture into those of another that differs in adaptable settings.

    Args:
        weights: our names; `head.*` may be absent.
        source: the weights' own architecture.
        target: the wanted one.
        changes: what is allowed.

    Returns:
        The weights of `target`, and one sentence for the user for each change.

    Raises:
        UsageError: a setting differs that the weights fix.
        InputError: a change that is not possible, or that was not asked for (`interpolate_time`,
            `interpolate_space`).
    """
    _check_fixed(source, target)
    adapted, notes = dict(weights), list[str]()
    _adapt_patch(adapted, source, target, notes)
    if source.has_cls and not target.has_cls:
        del adapted["embedding.cls_token"]
        notes.append("the class token was left out; the read-out is the mean over the tokens")
    elif target.has_cls and not source.has_cls:
        raise InputError(
            "the checkpoint has no class token",
            f"missing key cls_token for cls_position={target.cls_position!r}",
            "use cls_position=none",
        )
    elif source.cls_position != target.cls_position:
        notes.append(f"the class token was moved from {source.cls_position} to {target.cls_position}")
    positions = {name: adapted.pop(name) for name in list(adapted) if name.startswith("embedding.position")}
    adapted.update(_adapt_positions(positions, source, target, changes, notes))
    if "head.weight" not in adapted or source.num_classes != target.num_classes:
        adapted.update(_fresh_head(target))
        notes.append(f"the head is new: {target.num_classes} classes with random weights, to be trained")
    return adapted, notes


def _check_fixed(source: Architecture, target: Architecture) -> None:
    """Settings that the weights' shapes fix must be equal."""
    pairs = {name: (getattr(source, name), getattr(target, name)) for name in FIXED}
    pairs["number of directions"] = (len(source.directions), len(target.directions))
    if target.has_cls and target.position in LEARNED and source.position in LEARNED:
        pairs["position_on_cls"] = (source.position_on_cls, target.position_on_cls)
    for name, (have, want) in pairs.items():
        if have != want:
            raise UsageError(
                f"{name} cannot be changed on loading",
                f"the checkpoint's weights fix it: {have}, asked for {want}",
                "leave it out, or create a fresh model with create_model",
            )


def _adapt_patch(
    adapted: dict[str, Tensor], source: Architecture, target: Architecture, notes: list[str]
) -> None:
    """Inflate the patch weight over time where the target has longer tubelets (paper section 4.1)."""
    if source.tubelet == target.tubelet:
        return
    if source.tubelet != 1:
        raise InputError(
            "the tubelet cannot be changed",
            f"the checkpoint's tubelets have {source.tubelet} frames, asked for {target.tubelet}; "
            "only weights of single frames can be inflated",
            f"use tubelet={source.tubelet}",
        )
    name = "embedding.patch.weight"
    adapted[name] = inflate_patch(adapted[name], target.tubelet)
    notes.append(f"the patch embedding was inflated to tubelets of {target.tubelet} frames")


def _adapt_positions(
    tables: dict[str, Tensor], source: Architecture, target: Architecture, changes: Changes, notes: list[str]
) -> dict[str, Tensor]:
    """The target's positional tables out of the source's."""
    if target.position not in LEARNED:
        if tables:
            notes.append(f"the learned positional embedding was left out for position={target.position}")
        return {}
    _check_positions(source, target, changes)
    class_entries = int(source.has_cls and source.position_on_cls)
    joint = source.position == "learned"
    table = tables["embedding.position" if joint else "embedding.position_space"]
    class_entry = table[:, :class_entries] if target.has_cls else table[:, :0]
    patches = table[0, class_entries:]
    if source.tokens_per_frame != target.tokens_per_frame:
        patches = resize_space(patches, source.grid[1:], target.grid[1:])
        notes.append(f"the spatial embedding was interpolated from {source.size} to {target.size} pixels")
    layers = target.grid[0]
    if joint and source.grid[0] == 1:
        return _from_image(class_entry, patches, target, changes, notes)
    if not joint:
        time = _fit_time(tables["embedding.position_time"][0], source, target, changes, notes)
        if target.position == "separate":
            space = torch.cat((class_entry, patches.unsqueeze(0)), dim=1)
            return {"embedding.position_space": space, "embedding.position_time": time.unsqueeze(0)}
        notes.append("the space and time embeddings were added up to one joint table")
        patches = (patches.unsqueeze(0) + time.unsqueeze(1)).flatten(0, 1)
    else:
        by_layer = patches.reshape(source.grid[0], -1, patches.shape[-1])
        patches = _fit_time(by_layer, source, target, changes, notes).reshape(layers * by_layer.shape[1], -1)
    return {"embedding.position": torch.cat((class_entry, patches.unsqueeze(0)), dim=1)}


def _from_image(
    class_entry: Tensor, patches: Tensor, target: Architecture, changes: Changes, notes: list[str]
) -> dict[str, Tensor]:
    """A video's tables out of a joint table of one layer, which is an image model's."""
    layers = target.grid[0]
    if target.position == "separate":
        space = torch.cat((class_entry, patches.unsqueeze(0)), dim=1)
        notes.append(
            "the image's positional embedding became the space embedding; the time embedding is zero"
        )
        return {
            "embedding.position_space": space,
            "embedding.position_time": torch.zeros(1, layers, patches.shape[-1]),
        }
    if layers > 1:
        patches = video_positions(patches, layers, changes.init_position)
        notes.append(
            f"the image's positional embedding was carried to {layers} layers by '{changes.init_position}'"
        )
    return {"embedding.position": torch.cat((class_entry, patches.unsqueeze(0)), dim=1)}


def _check_positions(source: Architecture, target: Architecture, changes: Changes) -> None:
    """Refuse what no rule derives."""
    if source.position not in LEARNED:
        raise InputError(
            "the checkpoint has no learned positional embedding",
            f"its kind is {source.position!r}, asked for {target.position!r}",
            f"use position={source.position}",
        )
    if source.position == "learned" and target.position == "separate" and source.grid[0] > 1:
        raise InputError(
            "a joint positional embedding cannot be split into space and time",
            f"the checkpoint has one table for {source.grid[0]} layers",
            "use position=learned",
        )
    if source.tokens_per_frame != target.tokens_per_frame and not changes.interpolate_space:
        raise InputError(
            f"the checkpoint is for {source.size} x {source.size} pixels, not {target.size} x {target.size}",
            f"its learned positional embedding has {source.tokens_per_frame} places a frame, expected "
            f"{target.tokens_per_frame}",
            "add --interpolate-space (interpolate_space=True) to interpolate it, "
            f"or use --size {source.size} (size={source.size})",
        )


def _fit_time(
    table: Tensor, source: Architecture, target: Architecture, changes: Changes, notes: list[str]
) -> Tensor:
    """Stretch a table's first axis, time, to the target's layers where that was asked for."""
    have, want = source.grid[0], target.grid[0]
    if have == want:
        return table
    if not changes.interpolate_time:
        raise InputError(
            f"the checkpoint is for {source.frames} frames, not {target.frames}",
            f"its temporal embedding has {have} entries, {target.frames} frames in tubelets "
            f"of {target.tubelet} need {want}",
            "add --interpolate-time (interpolate_time=True) to stretch it, "
            f"or use --frames {have * target.tubelet}",
        )
    notes.append(f"the temporal embedding was stretched from {have} to {want} entries")
    return stretch_time(table, want)


def _fresh_head(target: Architecture) -> dict[str, Tensor]:
    """A new head, drawn as `initialise` does, with a fixed seed."""
    weight = torch.empty(target.num_classes, target.d_model)
    torch.nn.init.trunc_normal_(weight, std=0.02, generator=torch.Generator().manual_seed(0))
    return {"head.weight": weight, "head.bias": torch.zeros(target.num_classes)}
