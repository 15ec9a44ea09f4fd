"""A foreign checkpoint's own architecture: sizes off the shapes, the rest from the family."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vmexport.config import Architecture
from vmexport.errors import InputError, UsageError
from vmexport.model.checkpoints.reading import RawCheckpoint
from vmexport.model.checkpoints.validate import check_keys

PATCH = "patch_embed.proj.weight"

OVERLAPPING_SIDES = {(16, 27): 224, (16, 47): 384, (16, 31): 256}
"""Patch size and side of the grid of Vim's models with overlapping patches (stride 8), and their size."""


def infer(
    tensors: Mapping[str, Tensor], raw: RawCheckpoint, given: Mapping[str, Any]
) -> tuple[Architecture, list[str]]:
    """The checkpoint's own architecture, and notes on what its shapes could not say."""
    dimensions = _Dimensions(tensors, raw.path.name)
    patch = dimensions.of(PATCH, 4, 5)
    video = "temporal_pos_embedding" in tensors or len(patch) == 5
    inner = dimensions.of("layers.0.mixer.in_proj.weight", 2)[0] // 2
    rank = dimensions.of("layers.0.mixer.dt_proj.weight", 2)[1]
    tubelet = patch[2] if len(patch) == 5 else 1
    has_cls = "cls_token" in tensors
    frames = dimensions.of("temporal_pos_embedding", 3)[1] * tubelet if video else 1
    settings: dict[str, Any] = {
        "d_model": patch[0],
        "depth": _depth(tensors, raw.path.name),
        "frames": frames,
        "num_classes": dimensions.of("head.weight", 2)[0] if "head.weight" in tensors else 1,
        "patch_size": patch[-1],
        "tubelet": tubelet,
        "in_channels": patch[1],
        "d_state": dimensions.of("layers.0.mixer.A_log", 2)[1],
        "d_conv": dimensions.of("layers.0.mixer.conv1d.weight", 3)[2],
        "expand": max(1, inner // patch[0]),
        "dt_rank": 0 if rank == math.ceil(patch[0] / 16) else rank,
        "directions": ("forward", "spatiotemporal") if _two_directions(tensors) else ("forward",),
        "position": "separate" if video else "learned" if "pos_embed" in tensors else "none",
        "position_on_cls": has_cls and "pos_embed" in tensors,
        "norm": "layer" if "norm_f.bias" in tensors else "rms",
    }
    family, notes = _family(raw.model_name, video, has_cls, len(settings["directions"]), given)
    settings.update(family)
    settings["size"] = _size(dimensions, tensors, patch[-1], has_cls, given.get("size"), notes)
    try:
        return Architecture(**settings), notes
    except UsageError as error:
        raise InputError(f"{raw.path.name} describes no possible model: {error.what}", error.why) from error


def _family(
    name: str, video: bool, has_cls: bool, directions: int, given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Place of the class token in the file and scale: no shape shows them.

    An OpenGVLab video model is known by its temporal embedding. Vim's and OpenGVLab's image models look
    alike: the training script's model name decides where the file has it, then the caller's overrides, then
    Vim's released models. An override moves the class token (rather than telling where the file has it) when
    the image model becomes a video model and keeps Vim's scale.
    """
    named = name.startswith(("vim_", "videomamba"))
    vim = not video and not name.startswith("videomamba")
    middle = vim and (not named or "mid" in name)
    halved = vim and directions == 2 and (not named or "div2" in name)
    if not named and not video and given.get("cls_position") == "first":
        layers = given.get("frames", 1) // given.get("tubelet", 1)
        middle = layers > 1 and given.get("scale") != 1.0
    place = ("middle" if middle else "first") if has_cls else "none"
    settings = {"cls_position": place, "scale": 0.5 if halved else 1.0}
    if video or {"cls_position", "scale"} <= given.keys():
        return settings, []
    if named:
        return settings, [f"class token {place}, scale {settings['scale']}, as its model name {name} says"]
    guess = f"class token {place}, scale {settings['scale']}, as in Vim's released models"
    return settings, [f"{guess} (no shape shows it; OpenGVLab's image models: cls_position=first scale=1.0)"]


def _size(
    dimensions: _Dimensions,
    tensors: Mapping[str, Tensor],
    patch: int,
    has_cls: bool,
    size: int | None,
    notes: list[str],
) -> int:
    """Image size from the length of the positional table, or the size given."""
    if "pos_embed" not in tensors:
        if size is None:
            notes.append("the checkpoint does not say its image size; took 224 (size= changes it)")
        return size or 224
    places = dimensions.of("pos_embed", 3)[1] - int(has_cls)
    side = math.isqrt(max(places, 0))
    if side < 1 or side * side != places:
        raise InputError(
            f"the positional embedding of {dimensions.source} fits no square image",
            f"pos_embed: expected side * side{' + 1' if has_cls else ''} entries, "
            f"got {places + int(has_cls)}",
            "only square images are supported",
        )
    if (patch, side) in OVERLAPPING_SIDES and size != side * patch:
        raise InputError(
            f"{dimensions.source} looks like a model with overlapping patches (stride 8)",
            f"a grid of {side} x {side} patches of {patch} pixels is what stride 8 gives at "
            f"{OVERLAPPING_SIDES[patch, side]} pixels; only non-overlapping patches are supported",
            f"if it truly is a model of {side * patch} pixels, say so: size={side * patch}",
        )
    return side * patch


class _Dimensions:
    """Shapes by name, with errors that name key, expected and got."""

    def __init__(self, tensors: Mapping[str, Tensor], source: str) -> None:
        self.tensors, self.source = tensors, source

    def of(self, key: str, *dimensions: int) -> tuple[int, ...]:
        """Shape of a tensor that must be there and have one of the given numbers of dimensions."""
        check_keys({k: self.tensors[k] for k in (key,) if k in self.tensors}, [key], self.source)
        shape = tuple(self.tensors[key].shape)
        if len(shape) not in dimensions or 0 in shape:
            wanted = " or ".join(map(str, dimensions))
            raise InputError(
                f"{self.source}: {key} has the wrong shape",
                f"expected {wanted} dimensions, none empty, got {shape}",
                "give an unmodified VideoMamba or Vim checkpoint",
            )
        return shape


def _depth(tensors: Mapping[str, Tensor], source: str) -> int:
    """Number of blocks; their numbers must be 0, 1, 2 ..."""
    found = sorted({int(m.group(1)) for key in tensors if (m := re.match(r"layers\.(\d+)\.", key))})
    if found != list(range(len(found))):
        missing = sorted(set(range(found[-1])) - set(found))
        raise InputError(
            f"{source}: blocks are missing", f"expected layers 0 to {found[-1]}, lacking {missing[:8]}"
        )
    return len(found)


def _two_directions(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the mixers have a second direction of their own."""
    return any(re.match(r"layers\.\d+\.mixer\.\w+_b(_log|\.weight|\.bias|$)", key) for key in tensors)
