"""Numeric self-test of every kernel through every front end: `python -m vmexport.bench.selftest`.

Random numbers go through the kernel and through a float64 oracle of a few lines. Each outcome is printed as
one JSON line as soon as it is known, so that after a crash the doctor still sees what came before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmexport.errors import EnvironmentProblem, VmexportError
from vmexport.ops.native import Buffer, NativeLibrary, Order, load_native
from vmexport.ops.schema import (
    CAUSAL_CONV1D,
    CONV_INPUTS,
    DOMAIN,
    OPSET_VERSION,
    SCAN_INPUTS,
    SELECTIVE_SCAN,
    visiting_order,
)

Array = NDArray[np.float32]

ORDERS = (0, 1, 2, 3)
FRAME, LENGTH, CHANNELS, STATES, TAPS = 5, 16, 24, 16, 4
"""Three frames of five tokens and a class token; channels that fill no vector evenly."""
TOLERANCE = 1e-5
"""Largest relative L2 error; float32 kernels reach about 1e-7."""


def scan_inputs() -> dict[str, Array]:
    """Random inputs of `SelectiveScan`, named as in the schema."""
    draw = np.random.default_rng(0).standard_normal
    s = len(ORDERS)
    values = {
        "u": draw((s, 1, LENGTH, CHANNELS)),
        "delta": draw((s, 1, LENGTH, CHANNELS)),
        "A": -np.exp(draw((s, CHANNELS, STATES))),
        "BC": draw((s, 1, LENGTH, 2 * STATES)),
        "D": draw((s, CHANNELS)),
        "delta_bias": draw((s, CHANNELS)),
        "z": draw((1, LENGTH, CHANNELS)),
    }
    return {name: np.ascontiguousarray(values[name], np.float32) for name in SCAN_INPUTS}


def conv_inputs() -> dict[str, Array]:
    """Random inputs of `CausalConv1d`, named as in the schema."""
    draw = np.random.default_rng(1).standard_normal
    s = len(ORDERS)
    values = {
        "x": draw((1, LENGTH, CHANNELS)),
        "weight": draw((s, CHANNELS, TAPS)),
        "bias": draw((s, CHANNELS)),
    }
    return {name: np.ascontiguousarray(values[name], np.float32) for name in CONV_INPUTS}


def scan_oracle(inputs: Mapping[str, Array]) -> NDArray[np.float64]:
    """The definition of the scan, in float64; `(1, L, D)`."""
    x = {name: value.astype(np.float64) for name, value in inputs.items()}
    total = np.zeros_like(x["z"])
    for s, order in enumerate(ORDERS):
        state = np.zeros((CHANNELS, STATES))
        for i in visiting_order(order, LENGTH, FRAME, 1):
            delta = np.logaddexp(0, x["delta"][s, 0, i] + x["delta_bias"][s])[:, None]
            b, c = x["BC"][s, 0, i, :STATES], x["BC"][s, 0, i, STATES:]
            state = np.exp(delta * x["A"][s]) * state + delta * b * x["u"][s, 0, i][:, None]
            total[0, i] += state @ c + x["D"][s] * x["u"][s, 0, i]
    return _silu(x["z"]) * total


def conv_oracle(inputs: Mapping[str, Array]) -> NDArray[np.float64]:
    """The definition of the convolution, in float64; `(S, 1, L, D)`."""
    x = {name: value.astype(np.float64) for name, value in inputs.items()}
    out = np.zeros((len(ORDERS), 1, LENGTH, CHANNELS))
    for s, order in enumerate(ORDERS):
        visited = visiting_order(order, LENGTH, FRAME, 1)
        for step, i in enumerate(visited):
            taps = range(max(0, TAPS - 1 - step), TAPS)
            seen = (x["weight"][s, :, k] * x["x"][0, visited[step - TAPS + 1 + k]] for k in taps)
            out[s, 0, i] = _silu(x["bias"][s] + sum(seen))
    return out


def native_scan(library: NativeLibrary, inputs: Mapping[str, Array]) -> Array:
    """The scan through the C ABI."""
    y = np.full_like(inputs["z"], np.nan)
    tensors: dict[str, Any] = {name: Buffer.of_numpy(value) for name, value in {**inputs, "y": y}.items()}
    library.scan(**tensors, order=Order(ORDERS, FRAME, 1))
    return y


def native_conv(library: NativeLibrary, inputs: Mapping[str, Array]) -> Array:
    """The convolution through the C ABI."""
    u = np.full((len(ORDERS), 1, LENGTH, CHANNELS), np.nan, np.float32)
    tensors: dict[str, Any] = {name: Buffer.of_numpy(value) for name, value in {**inputs, "u": u}.items()}
    library.conv(**tensors, order=Order(ORDERS, FRAME, 1))
    return u


def onnx_runtime(operator: str, inputs: Mapping[str, Array]) -> Array:
    """One operator through ONNX Runtime and the operator library."""
    from onnx import TensorProto, helper

    from vmexport.runtime.session import SessionOptions, open_session

    attributes: dict[str, Any] = {"directions": list(ORDERS), "tokens_per_frame": FRAME, "class_token": 1}
    if operator == SELECTIVE_SCAN:
        attributes["scale"] = 1.0
    node = helper.make_node(operator, list(inputs), ["out"], domain=DOMAIN, **attributes)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name, x in inputs.items()]
    graph = helper.make_graph([node], "selftest", values, [helper.make_empty_tensor_value_info("out")])
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, OPSET_VERSION)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    session, _ = open_session(model.SerializeToString(), "the self-test", SessionOptions(library="require"))
    result: Array = session.run(None, dict(inputs))[0]
    return result


def judge(name: str, run: Callable[[], Array], expected: NDArray[np.float64]) -> dict[str, str]:
    """Run one kernel; the fields of a `vmexport.bench.doctor.Finding`."""
    try:
        found = run()
    except (EnvironmentProblem, ModuleNotFoundError) as error:
        why = error.what if isinstance(error, EnvironmentProblem) else str(error)
        fix = error.fix if isinstance(error, EnvironmentProblem) else "pip install 'vmexport[cpu]'"
        return {"name": name, "status": "missing", "detail": why, "fix": fix}
    except VmexportError as error:
        return {
            "name": name,
            "status": "broken",
            "detail": f"{error.what}: {error.why}",
            "fix": "make native",
        }
    distance = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    if distance <= TOLERANCE:  # false for NaN too
        return {"name": name, "status": "ok", "detail": f"relative L2 error {distance:.1e}"}
    detail = f"relative L2 error {distance:.1e}, expected at most {TOLERANCE:.0e}"
    return {"name": name, "status": "broken", "detail": detail, "fix": "make clean native"}


def main() -> None:
    """Test everything that is here."""
    scan, conv = scan_inputs(), conv_inputs()
    scan_expected, conv_expected = scan_oracle(scan), conv_oracle(conv)
    tests: list[tuple[str, Callable[[], Any], NDArray[np.float64]]] = [
        ("scan, C ABI", lambda: native_scan(load_native(), scan), scan_expected),
        ("convolution, C ABI", lambda: native_conv(load_native(), conv), conv_expected),
        ("scan, ONNX Runtime", lambda: onnx_runtime(SELECTIVE_SCAN, scan), scan_expected),
        ("convolution, ONNX Runtime", lambda: onnx_runtime(CAUSAL_CONV1D, conv), conv_expected),
    ]
    for name, run, expected in tests:
        print(json.dumps(judge(name, run, expected)), flush=True)
    try:
        print(json.dumps({"tier": load_native().tier()}), flush=True)
    except EnvironmentProblem:
        return


def _silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """`x * sigmoid(x)`."""
    return np.asarray(x / (1 + np.exp(-x)))


if __name__ == "__main__":
    main()
