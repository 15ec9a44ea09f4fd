"""The selective scan as an ONNX `Scan` over single tokens in its best layout: the operator's peer."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import TensorProto, helper

from vmexport.export.functions.writer import Writer
from vmexport.ops.schema import SELECTIVE_SCAN


def plain_scan(backward: Sequence[bool], channels: int, states: int, decays_before: bool = False) -> Writer:
    """The nodes of a function from the operator's inputs to `y`: a `Scan` a direction, batch 1, scale 1.

    The state is `(N, D)` and `MatMul` applies C; with `(D, N)` the loop takes six times as long.

    Args:
        backward: for each direction, whether it visits the tokens last to first.
        channels: D.
        states: N.
        decays_before: compute `exp(step A)` and `step B u` of all tokens before the loop, `(L, N, D)` each.
    """
    w = Writer(SELECTIVE_SCAN)
    total = ""
    for s, reverse in enumerate(backward):
        u, delta = (w.reshape(w.pick(name, s), -1, channels) for name in ("u", "delta"))
        bc = w.reshape(w.pick("BC", s), -1, 2 * states)
        step = w.op("Softplus", w.op("Add", delta, w.pick("delta_bias", s)))
        rows = w.op("Unsqueeze", w.op("Mul", step, u), w.ints(1))  # (L, 1, D)
        step = w.op("Unsqueeze", step, w.ints(1))
        b_rows, c_rows = w.ops("Split", bc, w.ints(states, states), outputs=2, axis=1)
        columns, c_rows = w.reshape(b_rows, -1, states, 1), w.reshape(c_rows, -1, 1, states)
        rate = w.op("Transpose", w.pick("A", s), perm=[1, 0])  # (N, D)
        if decays_before:
            step, rows = w.op("Exp", w.op("Mul", step, rate)), w.op("Mul", columns, rows)
        sequences = {"step": step, "row": rows, "column": columns, "c": c_rows}
        if decays_before:
            del sequences["column"]
        b = Writer(w.function, f"direction_{s}_")
        decay = "step" if decays_before else b.op("Exp", b.op("Mul", "step", rate))
        drive = "row" if decays_before else b.op("Mul", "column", "row")
        b.emit("Add", [b.op("Mul", decay, "state"), drive], "next_state")
        b.emit("MatMul", ["c", "next_state"], "scanned")
        inputs, outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
            for names in (["state", *sequences], ["next_state", "scanned"])
        )
        initial = w.op("Expand", w.float_scalar(0.0), w.ints(states, channels))
        _, scanned = w.ops(
            "Scan", initial, *sequences.values(), outputs=2, num_scan_inputs=len(sequences),
            scan_input_directions=[int(reverse)] * len(sequences), scan_output_directions=[int(reverse)],
            body=helper.make_graph(b.nodes, "step", inputs, outputs),
        )  # fmt: skip
        scan = w.op("Add", w.reshape(scanned, -1, channels), w.op("Mul", u, w.pick("D", s)))
        total = w.op("Add", total, scan) if total else scan
    w.emit("Mul", [w.op("Unsqueeze", total, w.ints(0)), w.silu("z")], "y")
    return w
