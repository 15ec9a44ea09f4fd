"""Formulations of both operators in standard ONNX operators, in ONNX Runtime on a CPU, both directions.

L=1569, D=768, N=16, K=4, float32, batch 1. Every formulation has to agree with the float64 reference before
any is timed; all are timed in turns in one run, beside the operator library where it is built. The
formulations that vmexport does not use are written here and in plain_scan.py. Results go to
results/function_body-cpu.json.

    python benchmarks/function_body.py [--rounds 9] [--threads 2]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from common import Goal, argument_parser, begin, finish, in_turns, summary
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from plain_scan import plain_scan

from vmexport.export.functions.conv import causal_conv1d_function
from vmexport.export.functions.scan import STEPS_PER_ITERATION, selective_scan_function
from vmexport.export.functions.writer import Writer
from vmexport.native.libraries import ORT_LIBRARY
from vmexport.native.loading import library_path
from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference
from vmexport.ops.schema import CAUSAL_CONV1D, CONV_INPUTS, DOMAIN, OPSET_VERSION, SCAN_INPUTS, SELECTIVE_SCAN

S, L, D, N, K = 2, 1569, 768, 16, 4
OPSET = 18
ORDER: dict[str, Any] = {"directions": [0, 1], "tokens_per_frame": 196, "class_token": 1}
SCAN: dict[str, Any] = {**ORDER, "scale": 1.0}
SCAN_WEIGHTS, CONV_WEIGHTS = ("A", "D", "delta_bias"), ("weight", "bias")
ACCURACY = 2e-6
NOT_SLOWER = 0.95
"""Least ratio of another form's time to ours; neighbouring step counts differ less than timings do."""
LIBRARY = "operator library"
SCAN_BODY = f"one state, {STEPS_PER_ITERATION} steps an iteration (ours)"
CONV_BODY = "depthwise Conv between transpositions (ours)"
Array = NDArray[np.float32]


def scan_inputs() -> dict[str, Array]:
    """Steps of 0.001 to 0.1 and decay rates of -1 to -N, as Mamba initialises them."""
    draw = np.random.default_rng(0).standard_normal
    values = {
        "u": draw((S, 1, L, D)),
        "delta": draw((S, 1, L, D)),
        "A": np.broadcast_to(-np.arange(1.0, N + 1), (S, D, N)),
        "BC": draw((S, 1, L, 2 * N)),
        "D": draw((S, D)),
        "delta_bias": draw((S, D)) - 4.0,
        "z": draw((1, L, D)),
    }
    return {name: np.ascontiguousarray(values[name], np.float32) for name in SCAN_INPUTS}


def conv_inputs() -> dict[str, Array]:
    """Normal numbers."""
    draw = np.random.default_rng(1).standard_normal
    values = {"x": draw((1, L, D)), "weight": draw((S, D, K)), "bias": draw((S, D))}
    return {name: np.ascontiguousarray(values[name], np.float32) for name in CONV_INPUTS}


def _plain_scan(decays_before: bool) -> onnx.FunctionProto:
    """The plain form, forward and reversed."""
    w = plain_scan((False, True), D, N, decays_before)
    return _function(SELECTIVE_SCAN, SCAN_INPUTS, "y", w, SCAN)


def shifted_sums() -> onnx.FunctionProto:
    """The convolution as K shifted multiply-adds on the tokens, no transposition; forward and reversed."""
    w = Writer(CAUSAL_CONV1D)
    parts = []
    for s, ahead in enumerate((False, True)):
        weight, total = w.pick("weight", s), w.pick("bias", s)
        padded = w.op("Pad", "x", w.ints(0, 0, 0, 0, K - 1, 0) if ahead else w.ints(0, K - 1, 0, 0, 0, 0))
        for k in range(K):
            shift = K - 1 - k if ahead else k
            window = w.op("Slice", padded, w.ints(shift), w.ints(shift + L), w.ints(1))
            total = w.op("Add", total, w.op("Mul", window, w.op("Gather", weight, w.int_scalar(k), axis=1)))
        parts.append(w.op("Unsqueeze", w.silu(total), w.ints(0)))
    w.emit("Concat", parts, "u", axis=0)
    return _function(CAUSAL_CONV1D, CONV_INPUTS, "u", w, ORDER)


def _function(
    op: str, inputs: tuple[str, ...], output: str, w: Writer, attributes: Mapping[str, Any]
) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_function(DOMAIN, op, inputs, [output], w.nodes, opsets, list(attributes))


def session(
    function: onnx.FunctionProto | None,
    inputs: Mapping[str, Array],
    op: str,
    threads: int,
    library: str | None,
) -> Any:
    """A call of one node, its weights initialisers as in an exported model."""
    import onnxruntime

    weights, attributes, output = (
        (SCAN_WEIGHTS, SCAN, "y") if op == SELECTIVE_SCAN else (CONV_WEIGHTS, ORDER, "u")
    )
    node = helper.make_node(op, list(inputs), [output], domain=DOMAIN, **attributes)
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)
        for name, x in inputs.items()
        if name not in weights
    ]
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "one", values, [result])
    graph.initializer.extend(numpy_helper.from_array(inputs[name], name) for name in weights)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, OPSET_VERSION)]
    model = helper.make_model(graph, ir_version=9, opset_imports=opsets)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if function is not None:
        model.functions.append(function)
    if library is not None:
        options.register_custom_ops_library(library)
    opened = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {name: x for name, x in inputs.items() if name not in weights}
    return lambda: opened.run(None, feed)[0]


def measure(
    op: str, forms: Mapping[str, onnx.FunctionProto], ours: str, rounds: int, threads: int
) -> tuple[list[Goal], dict[str, Any]]:
    """Parity of all forms, then their times in turns; goals compare ours with every other form."""
    inputs = scan_inputs() if op == SELECTIVE_SCAN else conv_inputs()
    double: dict[str, Any] = {name: torch.from_numpy(x).double() for name, x in inputs.items()}
    answer = (
        selective_scan_reference(**double, **SCAN)
        if op == SELECTIVE_SCAN
        else causal_conv1d_reference(**double, **ORDER)
    ).numpy()
    calls = {name: session(form, inputs, op, threads, None) for name, form in forms.items()}
    library = library_path(ORT_LIBRARY)
    if library is not None:
        calls[LIBRARY] = session(None, inputs, op, threads, str(library))
    errors = {}
    for name, call in calls.items():
        errors[name] = float(np.linalg.norm(call() - answer) / np.linalg.norm(answer))
        if not errors[name] <= ACCURACY:
            sys.exit(f"{op}, {name}: relative L2 error {errors[name]:.1e}, allowed {ACCURACY:.0e}; not timed")
    times = summary(in_turns(calls, rounds))
    own_ms = times[ours]["median_ms"]
    goals = [
        Goal(f"{op}: ours against {name}", times[name]["median_ms"] / own_ms, NOT_SLOWER, at_most=False)
        for name in forms
        if name != ours
    ]
    return goals, {"times": times, "relative_l2_error": errors}


def main() -> int:
    """Measure, print, write; exit status 8 where a must is missed."""
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    run = begin(arguments)
    scans = {
        "a Scan a direction, state (N, D)": _plain_scan(decays_before=False),
        "a Scan a direction, decays of all tokens before it": _plain_scan(decays_before=True),
    }
    for steps in (1, 4, 8, STEPS_PER_ITERATION, 32):
        name = SCAN_BODY if steps == STEPS_PER_ITERATION else f"one state, {steps} steps an iteration"
        scans[name] = selective_scan_function(**SCAN, states=N, opset=OPSET, steps_per_iteration=steps)
    convolutions = {
        "shifted multiply-adds on the tokens": shifted_sums(),
        CONV_BODY: causal_conv1d_function(**ORDER, channels=D, taps=K, opset=OPSET),
    }
    goals, details = [], {}
    for op, forms, ours in (
        (SELECTIVE_SCAN, scans, SCAN_BODY),
        (CAUSAL_CONV1D, convolutions, CONV_BODY),
    ):
        more, details[op] = measure(op, forms, ours, arguments.rounds, arguments.threads)
        goals.extend(more)
    title = f"Function bodies, both directions, L={L}, D={D}, N={N}, {arguments.threads} threads"
    details["threads"] = arguments.threads
    return 0 if finish(run, "function_body-cpu", title, goals, details) else 8


if __name__ == "__main__":
    sys.exit(main())
