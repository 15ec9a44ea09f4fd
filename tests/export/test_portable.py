"""The portable form: standard operators alone, closed loops, the same logits in plain ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from small import noise, small_model
from test_export_onnx import NETWORKS, torch_logits

from vmexport.errors import BuildError, InputError, UsageError
from vmexport.export import export_onnx
from vmexport.export.graph import all_nodes
from vmexport.export.metadata import read_info
from vmexport.export.portable import captured_values, verify_portable
from vmexport.export.prepare import prepare
from vmexport.runtime import open_runner


def export(path: Path, **options: Any) -> onnx.ModelProto:
    """A small network's portable file, loaded."""
    report = export_onnx(small_model(), path, portable=True, **options)
    assert report.portable
    assert report.functions == ()
    return onnx.load(str(path))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    model = small_model(**NETWORKS[name])
    report = export_onnx(model, tmp_path / "model.onnx", batch="1:2:3", portable=True)
    assert report.parity is not None
    assert [result.batch for result in report.parity.batches] == [1, 2, 3]
    clips = noise(model.architecture, 3)
    with open_runner(tmp_path / "model.onnx", library="off") as run:
        for batch in (1, 2, 3):
            expected = torch_logits(model, clips[:batch])
            np.testing.assert_allclose(run(clips[:batch]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("opset", [18, 20])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("batch", [2, "1:2:4"])
def test_only_standard_operators_and_closed_loops(
    batch: int | str, precision: str, opset: int, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    model = export(path, batch=batch, precision=precision, opset=opset)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": opset}
    assert not model.functions
    nodes = list(all_nodes(model.graph))
    assert {node.domain for node in nodes} == {""}
    loops = [node for node in nodes if node.op_type == "Scan"]
    assert len(loops) == 2
    for loop in loops:
        (body,) = (attribute.g for attribute in loop.attribute if attribute.name == "body")
        assert captured_values(body) == []
    names = [node.name for node in nodes]
    assert all(names)
    assert len(names) == len(set(names))
    values = [value for node in nodes for value in node.output]
    assert len(values) == len(set(values))
    onnx.checker.check_model(str(path), full_check=True)


def test_what_is_constant_is_computed(tmp_path: Path) -> None:
    model = export(tmp_path / "model.onnx", batch=2)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"Shape", "Range", "Constant", "ConstantOfShape", "Expand", "Slice", "CastLike"}
    assert all(tensor.name and "::" not in tensor.name for tensor in model.graph.initializer)


def test_names_follow_the_network(tmp_path: Path) -> None:
    model = export(tmp_path / "model.onnx", batch="1:2:4")
    names = {node.name for node in model.graph.node}
    assert {"blocks.0/MatMul_2", "blocks.0/CausalConv1d/Conv", "blocks.1/SelectiveScan/Scan"} <= names
    values = {value for node in model.graph.node for value in node.output}
    assert {"embedding", "block_00", "block_01", "logits"} <= values
    weights = {tensor.name for tensor in model.graph.initializer}
    assert {"blocks.1.mixer.x_proj", "blocks.0.norm.weight", "head.weight"} <= weights


def test_the_file_is_the_same_on_every_run_and_says_what_it_is(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        export(tmp_path / name, batch="1:2:4")
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    for trace in ("pkg.onnxscript", "pkg.torch", ".py", str(tmp_path)):
        assert trace.encode() not in content
    info = read_info(tmp_path / "a.onnx")
    assert info.portable
    assert info.architecture == small_model().architecture
    record = json.loads(info.extra["parity"])
    assert record["status"] == "passed"
    assert record["backend"].endswith("standard operators")


def test_blocks_are_compared_by_name(tmp_path: Path) -> None:
    from vmexport.check.bisect import block_streams

    model = small_model()
    export(tmp_path / "model.onnx")
    clips = noise(model.architecture)
    with open_runner(model) as ours, open_runner(tmp_path / "model.onnx") as theirs:
        expected, found = block_streams(ours, clips), block_streams(theirs, clips)
    assert list(expected) == list(found)
    for name, stream in expected.items():
        np.testing.assert_allclose(found[name], stream, rtol=1e-4, atol=1e-4)


def test_contradictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--no-fallback"):
        export_onnx(small_model(), tmp_path / "model.onnx", portable=True, fallback=False)
    with pytest.raises(UsageError, match="bf16"):
        export_onnx(small_model(), tmp_path / "model.onnx", portable=True, precision="bf16")
    export(tmp_path / "model.onnx", check=False)
    with pytest.raises(UsageError, match="portable form"), open_runner(
        tmp_path / "model.onnx", library="require"
    ):  # fmt: skip
        pass
    with pytest.raises(InputError, match="--portable"):
        prepare(tmp_path / "model.onnx")


def test_a_file_that_is_not_portable_is_not_called_so(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(small_model(), path, check=False)
    with pytest.raises(BuildError, match="domains vmexport"):
        verify_portable(onnx.load(str(path)), str(path))


def test_captured_values_are_seen_through_inner_bodies() -> None:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)

    inner = helper.make_graph(
        [helper.make_node("Add", ["own", "outer"], ["sum"])], "inner", [], [value("sum")]
    )
    body = helper.make_graph(
        [
            helper.make_node("Relu", ["state"], ["own"]),
            helper.make_node("If", ["condition"], ["next"], then_branch=inner, else_branch=inner),
        ],
        "body",
        [value("state")],
        [value("next")],
    )
    assert captured_values(body) == ["condition", "outer"]
