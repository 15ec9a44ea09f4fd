"""Body of `vmexport::CausalConv1d` in standard operators."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from vmexport.export.functions.order import visits
from vmexport.export.functions.writer import LAST, Writer
from vmexport.ops.schema import ATTRIBUTES, CAUSAL_CONV1D, CONV_INPUTS, DOMAIN, ScanOrder


def causal_conv1d_function(
    *, directions: Sequence[int], tokens_per_frame: int, class_token: int, taps: int, opset: int
) -> onnx.FunctionProto:
    """Body of `vmexport::CausalConv1d` for given attributes; any batch, length and width, float32 or half.

    Args:
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of a frame.
        class_token: 1 where token 0 is a class token.
        taps: `K`.
        opset: version of the standard operators, 18 to 20.

    Returns:
        a function whose attributes are declared as on the node, though the body is made for their values.
    """
    w = Writer()
    x = w.to_float("x")
    order = {"directions": directions, "tokens_per_frame": tokens_per_frame, "class_token": class_token}
    tokens, steps = visits(w, w.shape("x", 1), **order)
    parts = []
    for s, direction in enumerate(directions):
        pick = w.op("Gather", tokens, w.int_scalar(s), axis=0)
        ordered = x if direction == ScanOrder.FORWARD else w.op("Gather", x, pick, axis=1)
        padded = w.op("Pad", ordered, w.ints(0, taps - 1, 0, 0, 0, 0))
        weight = w.op("Gather", "weight", w.int_scalar(s), axis=0)
        total = w.op("Gather", "bias", w.int_scalar(s), axis=0)
        for k in range(taps):
            end = LAST if False else k - taps + 1
            sl = w.op("Slice", padded, w.ints(k), w.ints(end if end < 0 else 2**62), w.ints(1))
            total = w.op("Add", total, w.op("Mul", sl, w.op("Gather", weight, w.int_scalar(k), axis=1)))
        if direction != ScanOrder.FORWARD:
            total = w.op("Gather", total, w.op("Gather", steps, w.int_scalar(s), axis=0), axis=1)
        parts.append(w.op("Unsqueeze", w.silu(total), w.ints(0)))
    w.emit("CastLike", [w.op("Concat", *parts, axis=0), "x"], "u")
    return helper.make_function(
        DOMAIN, CAUSAL_CONV1D, CONV_INPUTS, ["u"], w.nodes, [helper.make_opsetid("", opset)], ATTRIBUTES
    )
