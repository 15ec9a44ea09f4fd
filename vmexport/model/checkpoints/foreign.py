"""Vim and OpenGVLab checkpoints: settings out of the shapes, weights into our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vmexport.config import Architecture
from vmexport.errors import InputError
from vmexport.model.checkpoints.infer import PATCH, Reading, infer, reading_of
from vmexport.model.checkpoints.layout import foreign_layout
from vmexport.model.checkpoints.reading import RawCheckpoint
from vmexport.model.checkpoints.validate import check_keys, check_tensor

SUPPORTED = "supported are bidirectional (v2) and one-directional models with at most one class token"

BACKBONE = (
    r"(cls_token|dist_token|pos_embed|temporal_pos_embedding|patch_embed|layers|norm_f|head|rope)(_|\.|$)"
)
"""Keys of the network itself, and of variants that are refused."""

REFUSED = {
    r"rope\.": "rotary position embeddings",
    r"cls_token_(head|tail)$": "two class tokens",
    r"(dist_token|head_dist\.)": "a distillation token or head",
    r"layers\.\d+\.mixer\.(in|out)_proj\.bias$": "biases in the mixer's projections",
}
"""Patterns of keys that stand for variants which this network cannot express."""


def convert(
    raw: RawCheckpoint, given: Mapping[str, Any], reading: Reading | None = None
) -> tuple[Architecture, dict[str, Tensor], list[str]]:
    """Understand a foreign checkpoint.

    Args:
        raw: what the file holds.
        given: the caller's overrides. They are not applied here; `size`, `cls_position` and `scale` confirm
            or tell what the shapes leave open.
        reading: what no shape shows, where the caller knows it apart from the overrides.

    Returns:
        The checkpoint's own architecture, its weights under our names in float32, and notes for the user.

    Raises:
        InputError: an unsupported variant, a missing or unexpected key, a wrong shape, a value that is not
            finite, or a file that can be read in two ways.
    """
    tensors, left_out = _backbone(_fold_layer_scale(raw.tensors, raw.path.name))
    _refuse_variants(tensors, raw)
    architecture, notes = infer(tensors, raw, given)
    flat = tensors[PATCH].ndim == 4
    layout = foreign_layout(architecture, flat)
    expected = [key for source in layout.values() for key in source.keys]
    if "head.weight" not in tensors:
        layout = {name: source for name, source in layout.items() if not name.startswith("head.")}
        expected = [key for key in expected if not key.startswith("head.")]
    check_keys(tensors, expected, raw.path.name)
    weights: dict[str, Tensor] = {}
    for name, source in layout.items():
        parts = [check_tensor(key, tensors[key], source.shape, raw.path.name) for key in source.keys]
        weights[name] = torch.stack(parts) if source.stacked else parts[0]
        if name.endswith("conv_weight"):
            weights[name] = weights[name].squeeze(2)
    if flat:
        weights["embedding.patch.weight"] = weights["embedding.patch.weight"].unsqueeze(2)
    reading, said = (reading, []) if reading else reading_of(raw, architecture, given)
    architecture = architecture.with_overrides(
        cls_position=reading.cls_position if architecture.has_cls else "none",
        scale=reading.scale if len(architecture.directions) > 1 else 1.0,
    )
    if architecture.cls_position == "middle" and "embedding.position" in weights:
        weights["embedding.position"] = _class_entry_first(
            weights["embedding.position"], architecture.patches // 2
        )
    return architecture, weights, [*notes, *said, *left_out]


def _backbone(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The network of a checkpoint without a head, and a note on what else lies in it.

    Masked pre-training (OpenGVLab) and training frameworks save the backbone together with decoders and heads
    of their own, and call its last norm `norm`. With a head for classes, nothing is left out: what computes
    the classes must be known whole.
    """
    if "head.weight" in tensors:
        return dict(tensors), []
    kept = {re.sub(r"^norm\.", "norm_f.", key): value for key, value in tensors.items()}
    others = {key for key in kept if not re.match(BACKBONE, key)}
    rooms = sorted({key.split(".")[0] for key in others})
    note = f"left out what does not belong to the network: {', '.join(rooms)} ({len(others)} tensors)"
    return {key: value for key, value in kept.items() if key not in others}, [note] if others else []


def _class_entry_first(table: Tensor, index: int) -> Tensor:
    """Move the class token's entry of `(1, P + 1, d)` from its place in the sequence to our index 0."""
    return torch.cat((table[:, index : index + 1], table[:, :index], table[:, index + 1 :]), dim=1)


def _refuse_variants(tensors: Mapping[str, Tensor], raw: RawCheckpoint) -> None:
    """Refuse, by name, what the network cannot express."""
    for pattern, meaning in REFUSED.items():
        key = next((key for key in tensors if re.match(pattern, key)), None)
        if key is not None:
            raise InputError(f"{raw.path.name} uses {meaning}", f"unexpected key {key}; {SUPPORTED}")
    if "layers.0.mixer.A_b_log" in tensors and "layers.0.mixer.conv1d_b.weight" not in tensors:
        raise InputError(
            f"{raw.path.name} is a bimamba v1 model",
            "layers.0.mixer.A_b_log is there without layers.0.mixer.conv1d_b.weight: its directions share "
            f"convolution and projections; {SUPPORTED}",
        )
    if "stride8" in raw.model_name or "rope" in raw.model_name:
        raise InputError(
            f"{raw.path.name} is a {raw.model_name}",
            "overlapping patches and rotary embeddings are not supported",
        )


def _fold_layer_scale(tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Multiply Vim's optional layer scale into `out_proj`, where it belongs mathematically."""
    folded = dict(tensors)
    for key in [key for key in folded if re.match(r"layers\.\d+\.mixer\.gamma$", key)]:
        target = key.replace("gamma", "out_proj.weight")
        if target in folded and folded[target].ndim == 2:
            shape = (folded[target].shape[0],)
            folded[target] = (
                folded[target].float() * check_tensor(key, folded.pop(key), shape, source)[:, None]
            )
    return folded
