"""A foreign checkpoint's own architecture: sizes off the shapes, the rest from the family."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vmexport.config import Architecture
from vmexport.errors import InputError, UsageError
from vmexport.model.checkpoints.reading import RawCheckpoint
from vmexport.model.checkpoints.validate import check_keys

PATCH = "patch_embed.proj.weight"

OVERLAPPING_SIDES = {(16, 27): 224, (16, 47): 384, (16, 31): 256}
"""Patch size and side of the grid of Vim's models with overlapping patches (stride 8), and their size."""


OPENGVLAB_MIDDLE = (576, 32)
"""Width and depth of OpenGVLab's VideoMamba-Middle; no Vim has them."""


@dataclass(frozen=True)
class Reading:
    """What no shape of a checkpoint shows.

    Attributes:
        cls_position: where the file has its class token, "first" or "middle".
        scale: factor on the sum of the directions.
    """

    cls_position: str
    scale: float

    def __str__(self) -> str:
        return f"class token {self.cls_position}, scale {self.scale}"


VIM, OPENGVLAB = Reading("middle", 0.5), Reading("first", 1.0)


def infer(
    tensors: Mapping[str, Tensor], raw: RawCheckpoint, given: Mapping[str, Any]
) -> tuple[Architecture, list[str]]:
    """The checkpoint's own architecture as far as shapes show it, and notes on what they could not say.

    Place of the class token and scale are OpenGVLab's; `reading_of` tells them.

    Raises:
        InputError: shapes of no possible model.
    """
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
        "cls_position": "first" if has_cls else "none",
        "norm": "layer" if "norm_f.bias" in tensors else "rms",
    }
    notes: list[str] = []
    settings["size"] = _size(dimensions, tensors, patch[-1], has_cls, given.get("size"), notes)
    try:
        return Architecture(**settings), notes
    except UsageError as error:
        raise InputError(f"{raw.path.name} describes no possible model: {error.what}", error.why) from error


def reading_of(
    raw: RawCheckpoint, source: Architecture, given: Mapping[str, Any]
) -> tuple[Reading, list[str]]:
    """What no shape shows, and a note on where it is known from.

    An OpenGVLab video model is known by its temporal embedding, the largest image model by its size, others
    by the model's name where the training script saved it. Vim's and OpenGVLab's other image models have the
    same keys and shapes: there the caller has to say it, by `cls_position`, `scale` or both. Where a video
    model is made of an image's, `cls_position` says where the token is to go, so that `scale` has to be said.

    Raises:
        InputError: two readings are possible.
    """
    if source.frames > 1 or source.position == "separate":
        return OPENGVLAB, []
    name = raw.model_name
    if name.startswith(("vim_", "videomamba")):
        vim = name.startswith("vim_")
        named = Reading(
            "middle" if vim and "mid" in name else "first", 0.5 if vim and "div2" in name else 1.0
        )
        return named, [f"{named}, as its model name {name} says"]
    if (source.d_model, source.depth) == OPENGVLAB_MIDDLE:
        return OPENGVLAB, [f"{OPENGVLAB}, as in OpenGVLab's VideoMamba-Middle, the image model of this size"]
    if not source.has_cls and len(source.directions) == 1:
        return OPENGVLAB, []  # nothing to place, nothing to scale
    wanted, scale = given.get("cls_position"), given.get("scale")
    to_video = given.get("frames", 1) > given.get("tubelet", 1)
    if wanted in ("first", "middle") and scale is not None and not (to_video and scale == VIM.scale):
        return Reading(wanted, scale), [f"read as told: {Reading(wanted, scale)}"]
    for reading, family in ((VIM, "Vim"), (OPENGVLAB, "OpenGVLab")):
        if scale == reading.scale or (scale is None and wanted == reading.cls_position and not to_video):
            return reading, [f"read as {family}'s: {reading}"]
    raise _two_readings(raw)


def _two_readings(raw: RawCheckpoint) -> InputError:
    """The error for an image model that may be Vim's or OpenGVLab's; the likelier one by its name first."""
    commands = [
        f"vmexport convert {raw.path} --cls-position {reading.cls_position} --scale {reading.scale}   "
        f"(for {family})"
        for reading, family in ((VIM, "Vim"), (OPENGVLAB, "OpenGVLab's VideoMamba"))
    ]
    if "videomamba" in raw.path.name.lower():
        commands.reverse()
    return InputError(
        f"{raw.path.name} can be read in two ways",
        "Vim's and OpenGVLab's image models have the same keys and shapes; Vim's have the class token in the "
        "middle and halve the sum of both directions, and the file does not name its model",
        " or ".join(commands),
    )


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
