"""Names and shapes: where each of our weights stands in a Vim or OpenGVLab state dictionary.

Both projects name their weights alike; a direction other than the first carries `_b` in its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmexport.config import Architecture

DIRECTION_SUFFIXES = ("", "_b")
"""What the name of a direction's weight carries; foreign checkpoints have one or two directions."""


@dataclass(frozen=True)
class Source:
    """The foreign tensors that make one of ours.

    Attributes:
        keys: foreign names; several are stacked along a new first axis.
        shape: shape of each foreign tensor.
        stacked: our tensor has the leading axis of directions.
    """

    keys: tuple[str, ...]
    shape: tuple[int, ...]
    stacked: bool = False


def foreign_layout(architecture: Architecture, flat_patch: bool) -> dict[str, Source]:
    """Our names, each with its foreign source, for weights as they lie in the file.

    Args:
        architecture: the checkpoint's own architecture.
        flat_patch: the patch weight has no time axis (an image model).
    """
    a = architecture
    d, patch = a.d_model, (a.patch_size, a.patch_size)
    kernel = patch if flat_patch else (a.tubelet, *patch)
    layout = {
        "embedding.patch.weight": Source(("patch_embed.proj.weight",), (d, a.in_channels, *kernel)),
        "embedding.patch.bias": Source(("patch_embed.proj.bias",), (d,)),
    }
    class_entry = int(a.has_cls and a.position_on_cls)
    if a.has_cls:
        layout["embedding.cls_token"] = Source(("cls_token",), (1, 1, d))
    if a.position == "learned":
        layout["embedding.position"] = Source(("pos_embed",), (1, a.patches + class_entry, d))
    if a.position == "separate":
        space = (1, a.tokens_per_frame + class_entry, d)
        layout["embedding.position_space"] = Source(("pos_embed",), space)
        layout["embedding.position_time"] = Source(("temporal_pos_embedding",), (1, a.grid[0], d))
    for index in range(a.depth):
        layout.update(_block_layout(a, index))
    layout.update(_norm_layout(a, "norm", "norm_f"))
    layout["head.weight"] = Source(("head.weight",), (a.num_classes, d))
    layout["head.bias"] = Source(("head.bias",), (a.num_classes,))
    return layout


def _block_layout(a: Architecture, index: int) -> dict[str, Source]:
    """One block's part of the layout."""
    ours, theirs = f"blocks.{index}.mixer.", f"layers.{index}.mixer."
    inner = a.d_inner
    per_direction = {
        "conv_weight": ("conv1d{}.weight", (inner, 1, a.d_conv)),
        "conv_bias": ("conv1d{}.bias", (inner,)),
        "x_proj": ("x_proj{}.weight", (a.rank + 2 * a.d_state, inner)),
        "dt_proj": ("dt_proj{}.weight", (inner, a.rank)),
        "dt_bias": ("dt_proj{}.bias", (inner,)),
        "A_log": ("A{}_log", (inner, a.d_state)),
        "D": ("D{}", (inner,)),
    }
    layout = _norm_layout(a, f"blocks.{index}.norm", f"layers.{index}.norm")
    layout[ours + "in_proj.weight"] = Source((theirs + "in_proj.weight",), (2 * inner, a.d_model))
    layout[ours + "out_proj.weight"] = Source((theirs + "out_proj.weight",), (a.d_model, inner))
    suffixes = DIRECTION_SUFFIXES[: len(a.directions)]
    for name, (pattern, shape) in per_direction.items():
        keys = tuple(theirs + pattern.format(suffix) for suffix in suffixes)
        layout[ours + name] = Source(keys, shape, stacked=True)
    return layout


def _norm_layout(a: Architecture, ours: str, theirs: str) -> dict[str, Source]:
    """Weight and, for a layer norm, bias."""
    parts = ("weight", "bias") if a.norm == "layer" else ("weight",)
    return {f"{ours}.{part}": Source((f"{theirs}.{part}",), (a.d_model,)) for part in parts}
