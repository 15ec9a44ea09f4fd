"""The operator libraries in ONNX Runtime: loading, choice of kernel, refusals that name tensor and shape.

Both libraries serve CPU sessions alike; the one with CUDA kernels besides does so without a GPU or a driver.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import built_library
from onnx_models import conv_inputs, one_node_model, open_session, scan_inputs

from vmexport.export.functions.conv import causal_conv1d_function
from vmexport.export.functions.scan import selective_scan_function
from vmexport.ops.schema import CAUSAL_CONV1D, SELECTIVE_SCAN

ORDER: dict[str, Any] = {"directions": [0, 2], "tokens_per_frame": 4, "class_token": 1}
SCAN: dict[str, Any] = {**ORDER, "scale": 0.5}
SCAN_SIZES = {"directions": 2, "length": 9, "channels": 6, "states": 3}
CONV_SIZES = {"directions": 2, "length": 9, "channels": 6, "taps": 4}


LIBRARIES = ["libvmexport_ort.so", pytest.param("libvmexport_ort_cuda.so", marks=pytest.mark.compiled)]


@pytest.fixture(scope="module", params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    path = built_library(request.param)
    if path is None:
        pytest.skip(f"{request.param} is not built")
    return str(path)


def test_one_symbol_is_exported(library: str) -> None:
    names = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert [line.split()[-1] for line in names if line] == ["RegisterCustomOps"]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_batch_and_any_number_of_threads(library: str, threads: int) -> None:
    """Each clip of a batch comes out as it does alone, from one session."""
    scan = open_session(one_node_model(SELECTIVE_SCAN, **SCAN), library, threads=threads)
    conv = open_session(one_node_model(CAUSAL_CONV1D, **ORDER), library, threads=threads)
    values = scan_inputs(batch=5, **SCAN_SIZES)
    together = scan.run(None, values)[0]
    shared = {"A", "D", "delta_bias"}
    for b in range(5):
        alone = {name: v if name in shared else v[..., b : b + 1, :, :] for name, v in values.items()}
        np.testing.assert_array_equal(scan.run(None, alone)[0][0], together[b])
    values = conv_inputs(batch=5, **CONV_SIZES)
    together = conv.run(None, values)[0]
    for b in range(5):
        alone = {**values, "x": values["x"][b : b + 1]}
        np.testing.assert_array_equal(conv.run(None, alone)[0][:, 0], together[:, b])


def test_two_sessions_share_the_library(library: str) -> None:
    model = one_node_model(SELECTIVE_SCAN, **SCAN)
    values = scan_inputs(batch=1, **SCAN_SIZES)
    first = open_session(model, library)
    want = first.run(None, values)[0]
    second = open_session(model, library)
    del first
    np.testing.assert_array_equal(second.run(None, values)[0], want)


@pytest.mark.parametrize("with_library", [True, False])
def test_the_kernel_is_preferred_and_the_function_is_the_fallback(
    library: str, with_library: bool, tmp_path: Path
) -> None:
    """One file with a function body: profiles show which operators really ran."""
    import onnxruntime

    model = one_node_model(
        SELECTIVE_SCAN, function=selective_scan_function(**SCAN, states=3, opset=18), **SCAN
    )
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    if with_library:
        options.register_custom_ops_library(library)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    session.run(None, scan_inputs(batch=1, **SCAN_SIZES))
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = {event.get("args", {}).get("op_name") for event in events}
    assert ("SelectiveScan" in ran, "Scan" in ran) == (with_library, not with_library)


def test_both_functions_serve_one_file(library: str) -> None:
    """Kernel and body agree on the same model."""
    function = causal_conv1d_function(**ORDER, channels=6, taps=4, opset=18)
    model = one_node_model(CAUSAL_CONV1D, function=function, **ORDER)
    values = conv_inputs(batch=2, **CONV_SIZES)
    kernel, body = (open_session(model, path).run(None, values)[0] for path in (library, None))
    np.testing.assert_allclose(kernel, body, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_shape_and_dtype_are_inferred(library: str, dtype: str, tmp_path: Path) -> None:
    """The names of free axes reach the output, so that later nodes can be planned."""
    from onnx import helper, load

    for op, attributes, want in ((SELECTIVE_SCAN, SCAN, ["B", "L", "D"]), (CAUSAL_CONV1D, ORDER, "SBLD")):
        model = one_node_model(op, dtype=dtype, **attributes)
        output = model.graph.node[0].output[0]
        model.graph.node.append(helper.make_node("Identity", [output], ["copy"]))
        model.graph.output[0].name = "copy"
        path = tmp_path / f"{op}.onnx"
        _open(model, library, path)
        inferred = {info.name: info.type.tensor_type for info in load(path).graph.value_info}
        tensor = inferred.get(output) or load(path).graph.output[0].type.tensor_type
        assert [axis.dim_param for axis in tensor.shape.dim] == list(want)


def _open(model: Any, library: str, optimised: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(optimised)
    options.register_custom_ops_library(library)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


WRONG_SCAN_SHAPES = [
    ("u", (2, 1, 9, 7), r"delta: expected shape \(S, B, L, D\) = \(2, 1, 9, 7\), got \(2, 1, 9, 6\)"),
    ("u", (3, 1, 9, 6), r"u: expected shape \(S, B, L, D\) = \(2, 1, 9, 6\), got \(3, 1, 9, 6\)"),
    ("u", (1, 9, 6), r"u: expected 4 axes \(S, B, L, D\), got shape \(1, 9, 6\)"),
    ("u", (1, 1, 1, 9, 6), r"u: expected 4 axes \(S, B, L, D\), got shape \(1, 1, 1, 9, \.\.\.\)"),
    ("delta", (2, 1, 8, 6), r"delta: expected shape .*, got \(2, 1, 8, 6\)"),
    ("A", (2, 5, 3), r"A: expected shape \(S, D, N\) = \(2, 6, 3\), got \(2, 5, 3\)"),
    ("A", (2, 6), r"A: expected 3 axes"),
    ("BC", (2, 1, 9, 3), r"BC: expected shape \(S, B, L, 2N\) = \(2, 1, 9, 6\), got \(2, 1, 9, 3\)"),
    ("D", (6,), r"D: expected shape \(S, D\) = \(2, 6\), got \(6\)"),
    ("D", (), r"D: expected shape \(S, D\) = \(2, 6\), got \(\)"),
    ("delta_bias", (2, 1), r"delta_bias: expected shape"),
    ("z", (2, 9, 6), r"z: expected shape \(B, L, D\) = \(1, 9, 6\), got \(2, 9, 6\)"),
    ("z", (1, 0, 6), r"z: expected shape"),
]
WRONG_CONV_SHAPES = [
    ("x", (9, 6), r"x: expected 3 axes \(B, L, D\), got shape \(9, 6\)"),
    ("weight", (1, 6, 4), r"weight: expected shape \(S, D, K\) = \(2, 6, 4\), got \(1, 6, 4\)"),
    ("weight", (2, 6, 9), r"taps \(K\): expected 1 to 8, got 9"),
    ("bias", (6,), r"bias: expected shape \(S, D\) = \(2, 6\), got \(6\)"),
    ("x", (1, 10, 6), r"tokens_per_frame: expected a divisor of the 9 patch tokens, got 4"),
]


def free_shapes(model: Any) -> Any:
    """The same model without declared input shapes, so that only the operator can refuse."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.ClearField("shape")
    return model


@pytest.mark.parametrize(("name", "shape", "message"), WRONG_SCAN_SHAPES)
def test_scan_refuses_shapes(library: str, name: str, shape: tuple[int, ...], message: str) -> None:
    session = open_session(free_shapes(one_node_model(SELECTIVE_SCAN, **SCAN)), library)
    values = scan_inputs(batch=1, **SCAN_SIZES)
    with pytest.raises(Exception, match=f"vmexport::SelectiveScan: {message}"):
        session.run(None, values | {name: np.zeros(shape, np.float32)})
    assert np.isfinite(session.run(None, values)[0]).all()  # the session lives on


@pytest.mark.parametrize(("name", "shape", "message"), WRONG_CONV_SHAPES)
def test_conv_refuses_shapes(library: str, name: str, shape: tuple[int, ...], message: str) -> None:
    session = open_session(free_shapes(one_node_model(CAUSAL_CONV1D, **ORDER)), library)
    values = conv_inputs(batch=1, **CONV_SIZES)
    with pytest.raises(Exception, match=f"vmexport::CausalConv1d: {message}"):
        session.run(None, values | {name: np.zeros(shape, np.float32)})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"directions": None}, "attribute directions: expected a list of ints, got none"),
        ({"directions": [0] * 9}, "attribute directions: expected a list of 1 to 8 ints, got 9 of them"),
        ({"directions": [0, 4]}, r"attribute directions\[1\]: expected 0 \(forward\), .* got 4"),
        ({"directions": "ab"}, "attribute directions: expected a list of 1 to 8 ints, got 0 of them"),
        ({"tokens_per_frame": None}, "attribute tokens_per_frame: expected an int, got none"),
        ({"tokens_per_frame": 4.0}, "attribute tokens_per_frame: expected an int"),
        ({"class_token": None}, "attribute class_token: expected an int, got none"),
        ({"class_token": 2}, "attribute class_token: expected 0 or 1, got 2"),
        ({"scale": None}, "attribute scale: expected a float, got none"),
        ({"scale": 1}, "attribute scale: expected a float"),
    ],
)
def test_attributes_are_checked_when_the_model_is_loaded(
    library: str, changed: dict[str, Any], message: str
) -> None:
    attributes = {name: value for name, value in (SCAN | changed).items() if value is not None}
    model = one_node_model(SELECTIVE_SCAN, **attributes)
    with pytest.raises(Exception, match=f"vmexport::SelectiveScan: {message}"):
        open_session(model, library)


@pytest.mark.parametrize(
    ("op", "name", "dtype"),
    [
        (SELECTIVE_SCAN, "u", "float16"),
        (SELECTIVE_SCAN, "A", "float16"),
        (SELECTIVE_SCAN, "z", "bfloat16"),
        (CAUSAL_CONV1D, "weight", "float16"),
    ],
)
def test_mixed_dtypes_are_refused_when_the_model_is_loaded(
    library: str, op: str, name: str, dtype: str
) -> None:
    attributes = SCAN if op == SELECTIVE_SCAN else ORDER
    with pytest.raises(Exception, match=op):
        open_session(one_node_model(op, types={name: dtype}, **attributes), library)


def test_without_library_and_function_the_operator_is_named() -> None:
    with pytest.raises(Exception, match="vmexport"):
        open_session(one_node_model(SELECTIVE_SCAN, **SCAN))
