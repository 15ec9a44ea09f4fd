"""Body of `vmexport::CausalConv1d` in standard operators."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from vmexport.export.functions.order import visits
from vmexport.export.functions.writer import Writer
from vmexport.ops.schema import CAUSAL_CONV1D, CONV_INPUTS, DOMAIN, NODE_ATTRIBUTES, ScanOrder


def causal_conv1d_function(
    *,
    directions: Sequence[int],
    tokens_per_frame: int,
    class_token: int,
    channels: int | None,
    taps: int,
    opset: int,
) -> onnx.FunctionProto:
    """Body of `vmexport::CausalConv1d` for given attributes; any batch and length, float32 or half.

    A depthwise `Conv` between two transpositions: 5.8 ms for two directions of 1569 tokens and 768 channels
    on one Zen4 core, where shifted multiply-adds on the tokens need 8.9 ms; these serve nodes of several
    widths. A whole reversal needs no reordering, only a reversed kernel that looks ahead.

    Args:
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of a frame.
        class_token: 1 where token 0 is a class token.
        channels: `D`, which `Conv` has as an attribute; None: whatever x has.
        taps: `K`.
        opset: version of the standard operators, 18 to 20.

    Returns:
        a function whose attributes are declared as on the node, though the body is made for their values.
    """
    w = Writer(CAUSAL_CONV1D)
    x = w.to_float("x")
    tokens, steps = visits(w, w.shape("x", 1), directions, tokens_per_frame, class_token)
    parts = []
    for s, direction in enumerate(directions):
        weight, bias = (w.pick(name, s) for name in ("weight", "bias"))
        reordered = direction in (ScanOrder.SPATIAL, ScanOrder.TEMPORAL)
        ahead = direction == ScanOrder.SPATIOTEMPORAL
        visited = w.op("Gather", x, w.pick(tokens, s), axis=1) if reordered else x
        if channels is None:
            part = w.silu(_shifted(w, visited, weight, bias, taps, ahead))
        else:
            part = w.silu(_convolved(w, visited, weight, bias, channels, taps, ahead))
        if reordered:
            part = w.op("Gather", part, w.pick(steps, s), axis=1)
        parts.append(w.op("Unsqueeze", part, w.ints(0)))
    w.emit("CastLike", [w.op("Concat", *parts, axis=0), "x"], "u")
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_function(DOMAIN, CAUSAL_CONV1D, CONV_INPUTS, ["u"], w.nodes, opsets, NODE_ATTRIBUTES)


def _convolved(w: Writer, x: str, weight: str, bias: str, channels: int, taps: int, ahead: bool) -> str:
    """x `(B, L, D)` convolved by the operator `Conv`; `ahead` looks at following tokens instead."""
    kernel = w.op("Unsqueeze", w.reverse(weight, 1) if ahead else weight, w.ints(1))  # (D, 1, K)
    pads = [0, taps - 1] if ahead else [taps - 1, 0]
    sequence = w.op("Transpose", x, perm=[0, 2, 1])  # (B, D, L)
    part = w.op("Conv", sequence, kernel, bias, group=channels, pads=pads)
    return w.op("Transpose", part, perm=[0, 2, 1])


def _shifted(w: Writer, x: str, weight: str, bias: str, taps: int, ahead: bool) -> str:
    """The same as a sum of shifted products, for any number of channels."""
    length, axis = w.shape("x", 1), w.ints(1)
    pads = w.ints(0, 0, 0, 0, taps - 1, 0) if ahead else w.ints(0, taps - 1, 0, 0, 0, 0)
    padded = w.op("Pad", x, pads)
    parts = []
    for k in range(taps):
        start = w.ints(taps - 1 - k if ahead else k)
        shifted = w.op("Slice", padded, start, w.op("Add", length, start), axis)
        parts.append(w.op("Mul", shifted, w.op("Gather", weight, w.int_scalar(k), axis=1)))
    return w.op("Sum", bias, *parts)
