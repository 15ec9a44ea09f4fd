"""Graphs that are not the network are refused before they reach their place."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, numpy_helper
from small import small_architecture, small_model

from vmexport.errors import BuildError, InputError
from vmexport.export import export_onnx
from vmexport.export.graph import block_name, residual_streams
from vmexport.export.metadata import load_onnx, read_info
from vmexport.export.verify import verify


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "model.onnx"
    export_onnx(small_model(), path, check=False, fallback=False)
    return path


def test_a_missing_scan_is_found(exported: Path) -> None:
    model = load_onnx(exported)
    node = next(node for node in model.graph.node if node.op_type == "SelectiveScan")
    node.domain = ""
    with pytest.raises(BuildError, match="SelectiveScan nodes: expected 2, got 1"):
        verify(model, small_architecture(), "fp32", str(exported))


def test_a_retyped_island_is_found(exported: Path) -> None:
    model = load_onnx(exported)
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".A"):
            half = numpy_helper.to_array(tensor).astype("float16")
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    with pytest.raises(BuildError, match=r"A of blocks\.0/SelectiveScan: expected FLOAT, got FLOAT16"):
        verify(model, small_architecture(), "fp32", str(exported))


def test_a_wrong_precision_is_found(exported: Path) -> None:
    with pytest.raises(BuildError, match="expected FLOAT16, got FLOAT"):
        verify(load_onnx(exported), small_architecture(), "fp16", str(exported))


@pytest.mark.parametrize("name", ["", "SelectiveScan/mul_1"])
def test_nodes_without_a_name_of_their_own_are_found(name: str, tmp_path: Path) -> None:
    """Inside the loop of a body, which older runtimes do not load then."""
    path = tmp_path / "model.onnx"
    export_onnx(small_model(), path, check=False)
    model = load_onnx(path)
    (body,) = (function for function in model.functions if function.name == "SelectiveScan")
    (loop,) = (node for node in body.node if node.op_type == "Scan")
    (steps,) = (attribute.g for attribute in loop.attribute if attribute.name == "body")
    for node in steps.node[:2]:
        node.name = name
    with pytest.raises(BuildError, match=f"2 nodes of SelectiveScan are called {name!r}"):
        verify(model, small_architecture(), "fp32", str(path))


def test_invalid_onnx_is_found(exported: Path, tmp_path: Path) -> None:
    model = load_onnx(exported)
    model.graph.node[0].input[0] = "nothing makes this"
    onnx.save(model, str(tmp_path / "bad.onnx"))
    with pytest.raises(BuildError, match="not valid ONNX"):
        verify(model, small_architecture(), "fp32", str(tmp_path / "bad.onnx"))


def test_the_residual_stream_is_found_by_structure(exported: Path) -> None:
    streams = residual_streams(load_onnx(exported).graph)
    assert list(streams) == list(streams.values()) == ["embedding", block_name(0), block_name(1)]


def test_weights_that_repeat_are_float32_once(exported: Path) -> None:
    kinds = {tensor.data_type for tensor in load_onnx(exported).graph.initializer}
    assert kinds == {TensorProto.FLOAT, TensorProto.INT64}


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x09"])
def test_files_that_are_no_models(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_info(path)
