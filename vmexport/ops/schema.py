"""The operators' contract as Python sees it: names, shapes, dtypes, attributes, scan orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

DOMAIN = "vmexport"
OPSET_VERSION = 1
SELECTIVE_SCAN = "SelectiveScan"
CAUSAL_CONV1D = "CausalConv1d"

PLUGIN_NAMESPACE_ATTRIBUTE = "plugin_namespace"
"""Attribute of both nodes that nothing but TensorRT reads: where its parser looks for the plugin."""
PLUGIN_NAMESPACE, OLD_PLUGIN_NAMESPACE = DOMAIN, ""
"""Namespaces of TensorRT's plugin registry, now and in files from before there was one."""

ACTIVATION, PARAMETER = "T", "float32"
"""The two kinds of dtype: T is one of `ACTIVATION_DTYPES`, the same for all tensors of a call."""
ACTIVATION_DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output of an operator.

    Attributes:
        name: as on the ONNX node, in torch and in messages.
        dtype: `ACTIVATION` or `PARAMETER`.
        shape: its axes, in letters: S directions, B batch, L tokens, D channels, N states, K taps.
        meaning: what it holds.
    """

    name: str
    dtype: str
    shape: str
    meaning: str


@dataclass(frozen=True)
class AttributeSpec:
    """An attribute of an operator's node.

    Attributes:
        name: as on the ONNX node.
        kind: `ints`, `int` or `float`.
        values: what is accepted.
        meaning: what it says.
    """

    name: str
    kind: str
    values: str
    meaning: str


MAX_DIRECTIONS = 8
MAX_STATES = 256
MAX_TAPS = 8

SCAN_TENSORS = (
    TensorSpec("u", ACTIVATION, "(S, B, L, D)", "after convolution and SiLU"),
    TensorSpec("delta", ACTIVATION, "(S, B, L, D)", "step size, before bias and softplus"),
    TensorSpec("A", PARAMETER, "(S, D, N)", "decay rates, real and negative"),
    TensorSpec("BC", ACTIVATION, "(S, B, L, 2N)", "B, then C, side by side"),
    TensorSpec("D", PARAMETER, "(S, D)", "skip"),
    TensorSpec("delta_bias", PARAMETER, "(S, D)", "added to delta before softplus"),
    TensorSpec("z", ACTIVATION, "(B, L, D)", "gate, one for all directions"),
)
SCAN_OUTPUT = TensorSpec("y", ACTIVATION, "(B, L, D)", "scale · SiLU(z) · sum over the directions")
SCAN_INPUTS = tuple(tensor.name for tensor in SCAN_TENSORS)
"""Inputs of `vmexport::SelectiveScan`, in the node's order."""

CONV_TENSORS = (
    TensorSpec("x", ACTIVATION, "(B, L, D)", "before the convolution"),
    TensorSpec("weight", PARAMETER, "(S, D, K)", "the last tap meets the present token"),
    TensorSpec("bias", PARAMETER, "(S, D)", "added before SiLU"),
)
CONV_OUTPUT = TensorSpec("u", ACTIVATION, "(S, B, L, D)", "after SiLU")
CONV_INPUTS = tuple(tensor.name for tensor in CONV_TENSORS)
"""Inputs of `vmexport::CausalConv1d`, in the node's order."""

ORDER_ATTRIBUTES = (
    AttributeSpec(
        "directions", "ints", f"1 to {MAX_DIRECTIONS} scan orders", "the order of each direction, S of them"
    ),
    AttributeSpec(
        "tokens_per_frame",
        "int",
        "divides the patch tokens",
        "patch tokens of a frame; read by the spatial and temporal orders only",
    ),
    AttributeSpec(
        "class_token", "int", "0 or 1", "1: token 0 is a class token, which backward orders visit last"
    ),
)
SCALE_ATTRIBUTE = AttributeSpec(
    "scale", "float", "finite", "factor on the sum of the directions; the scan's only"
)
ATTRIBUTES = tuple(attribute.name for attribute in ORDER_ATTRIBUTES)
"""Attributes of both operators; the scan has `scale` besides."""

NODE_ATTRIBUTES = (*ATTRIBUTES, PLUGIN_NAMESPACE_ATTRIBUTE)
"""The same as an ONNX node has them."""

GRADIENT = "grad_"
"""Begins the name of a gradient; the tensor's name follows."""


class ScanOrder(IntEnum):
    """Order in which a direction visits the tokens (paper section 4.4); values as in the ONNX attribute."""

    FORWARD = 0
    SPATIOTEMPORAL = 1
    SPATIAL = 2
    TEMPORAL = 3


@dataclass(frozen=True)
class TokenOrder:
    """The attributes that both operators share.

    Attributes:
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of a frame; read by the spatial and temporal orders only.
        class_token: 1 where token 0 is a class token, else 0.
    """

    directions: Sequence[int]
    tokens_per_frame: int
    class_token: int

    def attributes(self) -> dict[str, Any]:
        """The attributes by name, as a node of ONNX stores them."""
        return {
            "directions": list(self.directions),
            "tokens_per_frame": int(self.tokens_per_frame),
            "class_token": int(self.class_token),
            PLUGIN_NAMESPACE_ATTRIBUTE: PLUGIN_NAMESPACE,
        }


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
