"""The two-level body: few serial steps, small in memory, exact at every length and chunk.

Parity over all cases and dtypes is in tests/ops (backend "two-level").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx_models import one_node_model, open_session, scan_inputs
from tolerances import OPERATOR, assert_close

from vmexport.export.functions.scan import selective_scan_function
from vmexport.export.functions.two_level import chunk_tokens, two_level_scan_function
from vmexport.export.graph import all_nodes
from vmexport.ops.reference import selective_scan_reference
from vmexport.ops.schema import SELECTIVE_SCAN

ORDERS: dict[str, Any] = {"directions": [0, 1, 2, 3], "tokens_per_frame": 4, "class_token": 1, "scale": 0.5}


def body(chunk: int, **changed: Any) -> onnx.FunctionProto:
    return two_level_scan_function(**{**ORDERS, "states": 3, "opset": 18, "chunk": chunk, **changed})


def reference(values: dict[str, Any], **attributes: Any) -> Any:
    tensors = [torch.from_numpy(value).double() for value in values.values()]
    return selective_scan_reference(*tensors, **attributes).numpy()


def serial_steps(length: int, chunk: int) -> int:
    """Steps that wait for one another: two passes over a chunk and one over the chunks."""
    return 2 * chunk + math.ceil(length / chunk)


def test_steps_that_wait_for_one_another() -> None:
    assert chunk_tokens(1569) == 28
    assert serial_steps(1569, 28) == 113
    assert all(serial_steps(1569, 28) <= serial_steps(1569, chunk) for chunk in range(1, 200))
    assert chunk_tokens(1) == 1


@pytest.mark.parametrize("chunk", [1, 2, 3, 6, 13, 14, 40])
def test_one_session_serves_every_batch_and_length(chunk: int) -> None:
    """Lengths below, at and above multiples of the chunk; 1 + 4 n tokens suit every order."""
    session = open_session(one_node_model(SELECTIVE_SCAN, function=body(chunk), **ORDERS))
    for batch, length in ((1, 1), (3, 5), (2, 13), (1, 41)):
        values = scan_inputs(directions=4, batch=batch, length=length, channels=5, states=3)
        assert_close(session.run(None, values)[0], reference(values, **ORDERS), OPERATOR["float32"])


@pytest.mark.parametrize("delta", [-100.0, -20.0, 20.0, 1e4])
def test_decays_of_nothing_and_of_everything(delta: float) -> None:
    values = scan_inputs(directions=4, batch=1, length=13, channels=5, states=3)
    values["delta"][:] = delta
    session = open_session(one_node_model(SELECTIVE_SCAN, function=body(4), **ORDERS))
    assert_close(session.run(None, values)[0], reference(values, **ORDERS), OPERATOR["float32"])


@pytest.mark.parametrize("token", [0, 5, 12])
def test_a_nan_spreads_as_in_the_loop_over_tokens(token: int) -> None:
    values = scan_inputs(directions=4, batch=1, length=13, channels=5, states=3)
    values["u"][:, 0, token, 2] = np.nan
    forms = (body(4), selective_scan_function(**ORDERS, states=3, opset=18))
    found, wanted = (
        open_session(one_node_model(SELECTIVE_SCAN, function=form, **ORDERS)).run(None, values)[0]
        for form in forms
    )
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_standard_operators_that_the_checker_accepts(dtype: str) -> None:
    model = one_node_model(SELECTIVE_SCAN, dtype=dtype, function=body(4), opset=18, **ORDERS)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in all_nodes(body(4))} == {""}
    assert sum(node.op_type == "Scan" for node in all_nodes(body(4))) == 3


def test_every_node_has_a_name_of_its_own() -> None:
    names = [node.name for node in all_nodes(body(4))]
    assert all(names)
    assert len(set(names)) == len(names)
