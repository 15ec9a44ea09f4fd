"""The operator's contract as Python sees it: names, input order, scan orders."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

DOMAIN = "vmexport"
OPSET_VERSION = 1
SELECTIVE_SCAN = "SelectiveScan"
CAUSAL_CONV1D = "CausalConv1d"

SCAN_INPUTS = ("u", "delta", "A", "BC", "D", "delta_bias", "z")
"""Inputs of `vmexport::SelectiveScan`: u, delta (S,B,L,D) T; A (S,D,N) f32; BC (S,B,L,2N) T; D, delta_bias
(S,D) f32; z (B,L,D) T. Output y (B,L,D) T."""

CONV_INPUTS = ("x", "weight", "bias")
"""Inputs of `vmexport::CausalConv1d`: x (B,L,D) T; weight (S,D,K) f32; bias (S,D) f32. Output u (S,B,L,D) T,
after SiLU, in natural token order."""

GRADIENT = "grad_"
"""Begins the name of a gradient; the tensor's name follows."""

ATTRIBUTES = ("directions", "tokens_per_frame", "class_token")
"""Attributes of both operators; the scan has `scale` (float) besides."""

MAX_DIRECTIONS = 8
MAX_STATES = 256
MAX_TAPS = 8


class ScanOrder(IntEnum):
    """Order in which a direction visits the tokens (paper section 4.4); values as in the ONNX attribute."""

    FORWARD = 0
    SPATIOTEMPORAL = 1
    SPATIAL = 2
    TEMPORAL = 3


def visiting_order(order: int, length: int, tokens_per_frame: int, class_token: int) -> list[int]:
    """Token visited at each step, `order_s(t)` of the operator's definition.

    Args:
        order: a `ScanOrder`.
        length: tokens `L`, the class token included.
        tokens_per_frame: patch tokens of a frame; read by the spatial and temporal orders only.
        class_token: 1 where token 0 is a class token, which a backward order visits last.

    Returns:
        `L` token indices.
    """
    patches = range(class_token, length)
    head = [0] * class_token
    if order == ScanOrder.FORWARD:
        return [*head, *patches]
    if order == ScanOrder.SPATIOTEMPORAL:
        return [*reversed(patches), *head]
    frames: Sequence[range] = [
        patches[start : start + tokens_per_frame] for start in range(0, len(patches), tokens_per_frame)
    ]
    if order == ScanOrder.SPATIAL:
        return [*(token for frame in frames for token in reversed(frame)), *head]
    if order == ScanOrder.TEMPORAL:
        return [*(token for frame in reversed(frames) for token in frame), *head]
    raise ValueError(f"unknown scan order {order}; expected 0 to 3")
