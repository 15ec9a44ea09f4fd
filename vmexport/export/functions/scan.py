"""Body of `vmexport::SelectiveScan` in standard operators: one loop over the tokens, the form for CPUs."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from vmexport.export.functions.order import visits
from vmexport.export.functions.steps import (
    Sizes,
    closed_scan_steps,
    read_sizes,
    scan_steps,
    sequence_numbers,
    zero_state,
)
from vmexport.export.functions.writer import Writer
from vmexport.ops.schema import DOMAIN, NODE_ATTRIBUTES, SCALE_ATTRIBUTE, SCAN_INPUTS, SELECTIVE_SCAN

STEPS_PER_ITERATION = 16


def selective_scan_function(
    *,
    directions: Sequence[int],
    tokens_per_frame: int,
    class_token: int,
    scale: float | None,
    states: int | None,
    opset: int,
    closed: bool = False,
    steps_per_iteration: int = STEPS_PER_ITERATION,
) -> onnx.FunctionProto:
    """Body of `vmexport::SelectiveScan` for given attributes; any batch, length and width, float32 or half.

    Args:
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of a frame.
        class_token: 1 where token 0 is a class token.
        scale: factor on the sum of the directions; None: the node's own attribute.
        states: `N`; None: whatever A has.
        opset: version of the standard operators, 18 to 20.
        closed: whether the loop reads nothing from outside but A: runtimes other than ONNX Runtime ask for
            that, and it takes memory for all tokens in scan order.
        steps_per_iteration: steps that one iteration of the loop takes.

    Returns:
        a function whose attributes are declared as on the node, though the body is made for their values.
    """
    w = Writer(SELECTIVE_SCAN)
    sizes = read_sizes(w, len(directions), states, steps_per_iteration)
    tokens, steps = visits(w, sizes.length, directions, tokens_per_frame, class_token)
    run = closed_scan_steps if closed else scan_steps
    scanned = run(w, sizes, zero_state(w, sizes), _rows_in_scan_order(w, tokens, sizes))
    first_rows = w.op("Mul", w.op("Unsqueeze", steps, w.ints(1)), sizes.sequences)  # (S, 1, L)
    rows = w.op("Add", first_rows, sequence_numbers(w, sizes))  # (S, B, L)
    return gated(w, sum_of_directions(w, scanned, rows, sizes), scale, opset)


def sum_of_directions(w: Writer, scanned: str, rows: str, sizes: Sizes) -> str:
    """Sum of the directions `(B, L, D)` from the loop's output and the row `(S, B, L)` of each token in it.

    One gather a direction and one addition take less time than one gather for all and a ReduceSum.
    """
    flat = w.reshape(scanned, -1, sizes.channels)
    parts = [w.op("Gather", flat, w.pick(rows, direction)) for direction in range(sizes.directions)]
    return w.op("Sum", *parts) if len(parts) > 1 else parts[0]


def gated(w: Writer, total: str, scale: float | None, opset: int) -> onnx.FunctionProto:
    """Gate and scale the sum of the directions (no scale: the node's own); the finished function."""
    gate = w.silu(w.to_float("z"))
    if scale != 1.0:
        factor = w.attribute("scale") if scale is None else w.float_scalar(scale)
        gate = w.op("Mul", gate, factor)
    w.emit("CastLike", [w.op("Mul", total, gate), "z"], "y")
    opsets = [helper.make_opsetid("", opset)]
    attributes = [*NODE_ATTRIBUTES, SCALE_ATTRIBUTE.name]
    return helper.make_function(DOMAIN, SELECTIVE_SCAN, SCAN_INPUTS, ["y"], w.nodes, opsets, attributes)


def _rows_in_scan_order(w: Writer, tokens: str, sizes: Sizes) -> str:
    """Rows of the flattened inputs `(S B L, ...)` that each iteration reads, `(iterations, steps S B)`.

    Steps beyond the last one repeat it: nothing before them depends on what they compute, and nothing reads
    it.
    """
    iterations = w.op("Div", w.op("Add", sizes.length, w.ints(sizes.steps - 1)), w.ints(sizes.steps))
    step = w.range(w.op("Mul", iterations, w.ints(sizes.steps)))
    last = w.op("Sub", sizes.length, w.ints(1))
    padded = w.op("Gather", tokens, w.op("Min", step, last), axis=1)  # (S, T)
    first_rows = w.op("Mul", sequence_numbers(w, sizes), sizes.length)  # (S, B, 1)
    rows = w.op("Add", w.op("Unsqueeze", padded, w.ints(1)), first_rows)  # (S, B, T)
    by_step = w.op("Transpose", rows, perm=[2, 0, 1])  # (T, S, B)
    return w.reshape(by_step, iterations, w.op("Mul", sizes.sequences, w.ints(sizes.steps)))
