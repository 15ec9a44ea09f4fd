"""The function bodies: standard operators only, valid ONNX, right for any size, and small in memory.

Parity over all cases and dtypes is in tests/ops (backend "function"); here is what only bodies can get wrong.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx_models import conv_inputs, one_node_model, open_session, scan_inputs
from tolerances import OPERATOR, assert_close

from vmexport.export.functions.conv import causal_conv1d_function
from vmexport.export.functions.scan import STEPS_PER_ITERATION, selective_scan_function
from vmexport.export.graph import all_nodes
from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference
from vmexport.ops.schema import CAUSAL_CONV1D, PLUGIN_NAMESPACE, PLUGIN_NAMESPACE_ATTRIBUTE, SELECTIVE_SCAN

ORDER: dict[str, Any] = {"directions": [0, 1, 2, 3], "tokens_per_frame": 4, "class_token": 1}
SCAN: dict[str, Any] = {**ORDER, "scale": 0.5}
OPSETS = (18, 19, 20)


def scan_body(opset: int = 18, **changed: Any) -> onnx.FunctionProto:
    return selective_scan_function(**{**SCAN, "states": 3, "opset": opset, **changed})


def conv_body(opset: int = 18, **changed: Any) -> onnx.FunctionProto:
    return causal_conv1d_function(**{**ORDER, "channels": 6, "taps": 4, "opset": opset, **changed})


@pytest.mark.parametrize("body", [scan_body(), conv_body()], ids=lambda body: body.name)
def test_standard_operators_only(body: onnx.FunctionProto) -> None:
    assert {node.domain for node in all_nodes(body)} == {""}
    assert [(entry.domain, entry.version) for entry in body.opset_import] == [("", 18)]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_checker_and_runtime_accept_every_opset(opset: int, dtype: str) -> None:
    for op, body, attributes in (
        (SELECTIVE_SCAN, scan_body(opset), SCAN),
        (CAUSAL_CONV1D, conv_body(opset), ORDER),
    ):
        model = one_node_model(op, dtype=dtype, function=body, opset=opset, **attributes)
        onnx.checker.check_model(model, full_check=True)
        open_session(model)


def test_attributes_are_declared_as_on_the_node() -> None:
    both = {"directions", "tokens_per_frame", "class_token", "plugin_namespace"}
    assert set(scan_body().attribute) == {*both, "scale"}
    assert set(conv_body().attribute) == both


def scan_reference(values: dict[str, Any], **attributes: Any) -> Any:
    tensors = [torch.from_numpy(value).double() for value in values.values()]
    return selective_scan_reference(*tensors, **attributes).numpy()


def test_one_session_serves_every_batch_and_length() -> None:
    """Lengths around a multiple of the steps that one iteration takes."""
    directions = {**SCAN, "directions": [0, 1], "tokens_per_frame": 1}
    body = scan_body(**directions)
    session = open_session(one_node_model(SELECTIVE_SCAN, function=body, **directions))
    for batch in (1, 3):
        for length in (
            1,
            2,
            STEPS_PER_ITERATION - 1,
            STEPS_PER_ITERATION,
            STEPS_PER_ITERATION + 1,
            5 * STEPS_PER_ITERATION,
        ):
            values = scan_inputs(directions=2, batch=batch, length=length, channels=5, states=3)
            assert_close(
                session.run(None, values)[0], scan_reference(values, **directions), OPERATOR["float32"]
            )


def test_conv_session_serves_every_batch_and_length() -> None:
    session = open_session(one_node_model(CAUSAL_CONV1D, function=conv_body(), **ORDER))
    for batch in (1, 3):
        for length in (1, 5, 17):
            values = conv_inputs(directions=4, batch=batch, length=length, channels=6, taps=4)
            tensors = [torch.from_numpy(value).double() for value in values.values()]
            want = causal_conv1d_reference(*tensors, **ORDER).numpy()
            assert_close(session.run(None, values)[0], want, OPERATOR["float32"])


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_steps_of_an_iteration_do_not_change_the_result(steps: int) -> None:
    values = scan_inputs(directions=4, batch=2, length=13, channels=6, states=3)
    one, other = (
        open_session(one_node_model(SELECTIVE_SCAN, function=body, **SCAN)).run(None, values)[0]
        for body in (scan_body(), scan_body(steps_per_iteration=steps))
    )
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("delta", [-1e4, -100.0, -80.0, -20.0, -1.0, 0.0, 1.0, 20.0, 100.0, 1e4])
def test_softplus_holds_over_the_whole_range(delta: float) -> None:
    """With one step and no skip, y is proportional to the step width, so its relative error shows."""
    attributes = {**SCAN, "directions": [0], "tokens_per_frame": 1, "class_token": 0}
    values = scan_inputs(directions=1, batch=1, length=1, channels=4, states=3)
    values["delta"][:] = delta
    values["delta_bias"][:] = 0.0
    values["D"][:] = 0.0
    body = scan_body(**attributes)
    got = open_session(one_node_model(SELECTIVE_SCAN, function=body, **attributes)).run(None, values)[0]
    want = scan_reference(values, **attributes)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-38)


_PEAK = """
import resource, sys
from onnx_models import one_node_model, open_session, scan_inputs
from vmexport.export.functions.scan import selective_scan_function
attributes = dict(directions=[0, 1], tokens_per_frame=196, class_token=1, scale=1.0)
body = selective_scan_function(**attributes, states=16, opset=18)
session = open_session(one_node_model("SelectiveScan", function=body, **attributes))
values = scan_inputs(directions=2, batch=2, length=785, channels=384, states=16)
session.run(None, {name: value[..., :9, :] if value.ndim > 2 and name != "A" else value
                   for name, value in values.items()})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
session.run(None, values)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_no_tensor_has_states_over_all_tokens(root_dir: Path) -> None:
    """Peak memory of a run stays far below one `(S, B, L, D, N)` tensor."""
    output = subprocess.run(
        [sys.executable, "-c", _PEAK],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{root_dir}:{root_dir / 'tests'}", "PATH": ""},
    ).stdout
    states_bytes = 2 * 2 * 785 * 384 * 16 * 4
    assert int(output) < states_bytes / 2


def small_models() -> Iterator[tuple[onnx.ModelProto, dict[str, Any]]]:
    """Both operators with their bodies, and inputs; the nodes have every attribute, as exported ones do."""
    namespace: dict[str, Any] = {PLUGIN_NAMESPACE_ATTRIBUTE: PLUGIN_NAMESPACE}
    scan = one_node_model(SELECTIVE_SCAN, function=scan_body(), **SCAN, **namespace)
    conv = one_node_model(CAUSAL_CONV1D, function=conv_body(), **ORDER, **namespace)
    yield scan, scan_inputs(directions=4, batch=2, length=13, channels=6, states=3)
    yield conv, conv_inputs(directions=4, batch=2, length=13, channels=6, taps=4)


def test_inlined_by_others_it_computes_the_same() -> None:
    """Converters without functions inline them first; names inside loops have to survive that."""
    from onnx import inliner

    for model, values in small_models():
        want = open_session(model).run(None, values)[0]
        inlined = inliner.inline_local_functions(model)
        assert not inlined.functions
        np.testing.assert_array_equal(open_session(inlined).run(None, values)[0], want)


def test_another_implementation_agrees() -> None:
    """The evaluator of the ONNX project itself, so that nothing rests on one runtime's habits."""
    from onnx.reference import ReferenceEvaluator

    for model, values in small_models():
        want = open_session(model).run(None, values)[0]
        evaluator: Any = ReferenceEvaluator(model)
        (got,) = evaluator.run(None, values)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
