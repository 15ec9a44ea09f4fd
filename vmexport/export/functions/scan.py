"""Body of `vmexport::SelectiveScan` in standard operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import helper

from vmexport.export.functions.order import visits
from vmexport.export.functions.writer import Writer
from vmexport.ops.schema import ATTRIBUTES, DOMAIN, SCAN_INPUTS, SELECTIVE_SCAN

STEPS_PER_ITERATION = 8


@dataclass(frozen=True)
class _Sizes:
    """Names of vectors of one int64, made once before the loop."""

    batch: str
    length: str
    channels: str
    iterations: str


def selective_scan_function(
    *,
    directions: Sequence[int],
    tokens_per_frame: int,
    class_token: int,
    scale: float,
    states: int,
    opset: int,
    steps_per_iteration: int = STEPS_PER_ITERATION,
) -> onnx.FunctionProto:
    """Body of `vmexport::SelectiveScan` for given attributes; any batch, length and width, float32 or half.

    All directions and the batch are one state `(1, S, B, N, D)`. A `Scan` iteration takes several steps, so that
    the loop's own cost is paid once for all of them, and gathers its tokens itself, so that no tensor in scan order
    is ever written.

    Args:
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of a frame.
        class_token: 1 where token 0 is a class token.
        scale: factor on the sum of the directions.
        states: `N`.
        opset: version of the standard operators, 18 to 20.
        steps_per_iteration: steps that one iteration of the loop takes.

    Returns:
        a function whose attributes are declared as on the node, though the body is made for their values.
    """
    w = Writer()
    order = {"directions": directions, "tokens_per_frame": tokens_per_frame, "class_token": class_token}
    sizes = _sizes(w, steps_per_iteration)
    tokens, steps = visits(w, sizes.length, **order)
    rows = _rows_in_scan_order(w, tokens, sizes, len(directions), steps_per_iteration)
    initial, body = _loop(w, sizes, len(directions), states, steps_per_iteration)
    _, scanned = w.ops("Scan", initial, rows, outputs=2, body=body, num_scan_inputs=1)
    flat = w.reshape(scanned, -1, sizes.channels)
    natural = w.op("Gather", flat, _rows_in_natural_order(w, steps, sizes, len(directions)))  # (S, B, L, D)
    total = w.op("ReduceSum", natural, w.ints(0), keepdims=0)
    gate = w.silu(w.to_float("z"))
    if scale != 1.0:
        gate = w.op("Mul", gate, w.float_scalar(scale))
    w.emit("CastLike", [w.op("Mul", total, gate), "z"], "y")
    return helper.make_function(
        DOMAIN,
        SELECTIVE_SCAN,
        SCAN_INPUTS,
        ["y"],
        w.nodes,
        [helper.make_opsetid("", opset)],
        [*ATTRIBUTES, "scale"],
    )


def _sizes(w: Writer, steps: int) -> _Sizes:
    length = w.shape("u", 2)
    padded = w.op("Add", length, w.ints(steps - 1))
    return _Sizes(
        batch=w.shape("u", 1),
        length=length,
        channels=w.shape("u", 3),
        iterations=w.op("Div", padded, w.ints(steps)),
    )


def _rows_in_scan_order(w: Writer, tokens: str, sizes: _Sizes, directions: int, steps: int) -> str:
    """Rows of the flattened inputs `(S B L, ...)` that each iteration reads, `(iterations, steps S B)`.

    Steps beyond the last one repeat it: nothing before them depends on what they compute, and nothing reads it.
    """
    count = w.op("Squeeze", w.op("Mul", sizes.iterations, w.ints(steps)), w.ints(0))
    step = w.op("Range", w.int_scalar(0), count, w.int_scalar(1))
    last = w.op("Sub", sizes.length, w.ints(1))
    padded = w.op("Gather", tokens, w.op("Min", step, last), axis=1)  # (S, T)
    sequences = w.op("Mul", _sequence_numbers(w, sizes, directions), sizes.length)  # (S, B, 1)
    rows = w.op("Add", w.op("Unsqueeze", padded, w.ints(1)), sequences)  # (S, B, T)
    by_step = w.op("Transpose", rows, perm=[2, 0, 1])  # (T, S, B)
    width = w.op("Mul", sizes.batch, w.ints(steps * directions))
    return w.reshape(by_step, sizes.iterations, width)


def _rows_in_natural_order(w: Writer, steps: str, sizes: _Sizes, directions: int) -> str:
    """Rows of the loop's output `(T S B, D)` that hold each direction's tokens, `(S, B, L)`."""
    sequences = w.op("Mul", sizes.batch, w.ints(directions))
    first = w.op("Mul", w.op("Unsqueeze", steps, w.ints(1)), sequences)  # (S, 1, L)
    return w.op("Add", first, _sequence_numbers(w, sizes, directions))


def _sequence_numbers(w: Writer, sizes: _Sizes, directions: int) -> str:
    """`s B + b`, `(S, B, 1)`."""
    count = w.op("Mul", sizes.batch, w.ints(directions))
    scalar = w.op("Squeeze", count, w.ints(0))
    numbers = w.op("Range", w.int_scalar(0), scalar, w.int_scalar(1))
    return w.reshape(numbers, directions, sizes.batch, 1)


def _loop(w: Writer, sizes: _Sizes, directions: int, states: int, steps: int) -> tuple[str, onnx.GraphProto]:
    """The loop's initial state `(1, S, B, N, D)` and its body, which reads the function's values around it."""
    flat = {name: w.reshape(name, -1, sizes.channels) for name in ("u", "delta")}
    flat["BC"] = w.reshape("BC", -1, 2 * states)
    decay_rate = w.op("Unsqueeze", w.op("Transpose", "A", perm=[0, 2, 1]), w.ints(0, 2))  # (1, S, 1, N, D)
    skip = w.reshape("D", 1, directions, 1, 1, sizes.channels)
    bias = w.reshape("delta_bias", 1, directions, 1, 1, sizes.channels)
    per_channel = w.op("Concat", w.ints(steps, directions), sizes.batch, w.ints(1), sizes.channels, axis=0)
    state_shape = w.op("Concat", w.ints(1, directions), sizes.batch, w.ints(states), sizes.channels, axis=0)
    row = w.op("Concat", w.ints(steps, directions), sizes.batch, w.ints(1, states), axis=0)
    column = w.op("Concat", w.ints(steps, directions), sizes.batch, w.ints(states, 1), axis=0)
    initial = w.op("Expand", w.float_scalar(0.0), state_shape)

    b = Writer("step_")
    u, delta, bc = (b.to_float(b.op("Gather", flat[name], "rows")) for name in ("u", "delta", "BC"))
    u, delta = (b.op("Reshape", value, per_channel) for value in (u, delta))  # (steps, S, B, 1, D)
    delta = _softplus(b, b.op("Add", delta, bias))
    pushed = b.op("Mul", delta, u)
    half = b.ints(states, states)
    b_rows, c_rows = b.ops("Split", bc, half, outputs=2, axis=1)
    b_all, c_all = b.op("Reshape", b_rows, column), b.op("Reshape", c_rows, row)
    deltas, pushes, bs, cs = (
        b.ops("Split", value, b.ints(*[1] * steps), outputs=steps, axis=0) if steps > 1 else [value]
        for value in (delta, pushed, b_all, c_all)
    )
    state, outputs = "state", []
    for now, push, b_now, c_now in zip(deltas, pushes, bs, cs, strict=True):
        decay = b.op("Exp", b.op("Mul", now, decay_rate))
        state = b.op("Add", b.op("Mul", decay, state), b.op("Mul", b_now, push))
        outputs.append(b.op("MatMul", c_now, state))  # (1, S, B, 1, D)
    scanned = b.op("Concat", *outputs, axis=0) if steps > 1 else outputs[0]
    b.emit("Identity", [state], "next_state")
    b.emit("Add", [scanned, b.op("Mul", u, skip)], "scanned")
    graph = helper.make_graph(
        b.nodes,
        "steps",
        [
            helper.make_tensor_value_info("state", onnx.TensorProto.FLOAT, None),
            helper.make_tensor_value_info("rows", onnx.TensorProto.INT64, None),
        ],
        [
            helper.make_tensor_value_info("next_state", onnx.TensorProto.FLOAT, None),
            helper.make_tensor_value_info("scanned", onnx.TensorProto.FLOAT, None),
        ],
    )
    return initial, graph


def _softplus(w: Writer, x: str) -> str:
    """`log(1 + exp(x))` without overflow: `max(x, 0) + log(1 + exp(-|x|))`."""
    return w.op("Softplus", x)
