"""The real TensorRT-RTX: engines for named GPUs, built on a machine that need not have one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small import small_model

from vmexport.errors import BuildError, EnvironmentProblem, UsageError
from vmexport.export import export_onnx
from vmexport.export.attach import TWO_LEVEL
from vmexport.export.prepare import PLUGIN, prepare
from vmexport.export.trt import build_engine
from vmexport.export.trt.config import new_builder
from vmexport.export.trt.network import check_network, parse_network
from vmexport.model import create_model
from vmexport.runtime import open_runner
from vmexport.runtime.tensorrt.device import gpu_or_reason
from vmexport.runtime.tensorrt.library import find_tensorrt
from vmexport.runtime.tensorrt.sidecar import read_engine

pytest.importorskip("tensorrt_rtx")

CAPABILITIES = ("8.6", "8.9", "12.0")
ENGINE_MAGIC = b"vtrt"


def build(model: Any, path: Path, **options: Any) -> Any:
    settings = {"runtime": "rtx", "compute_capabilities": CAPABILITIES, "plugin": False, **options}
    return build_engine(model, path, **settings)


def assert_describes(path: Path, precision: str, profile: str) -> dict[str, Any]:
    """The engine and its sidecar belong together and say what was built; the parity record."""
    info, content = read_engine(path)
    assert content.startswith(ENGINE_MAGIC)
    assert (info.flavour, info.plugin) == ("rtx", None)
    assert info.compute_capabilities == CAPABILITIES
    assert (info.model.precision, str(info.model.profile)) == (precision, profile)
    assert content.count(b"clips") > 0
    assert content.count(b"logits") > 0
    return info.parity


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_export_build_reload(exported: Path, tmp_path: Path, precision: str) -> None:
    report = build(exported, tmp_path / "model.engine", precision=precision)
    assert report.proven == "onnx"
    assert report.build_seconds > 0
    record = assert_describes(tmp_path / "model.engine", precision, "1:2:4")
    assert record["status"] == "not checked"
    assert record["onnx"]["status"] == "passed"
    assert [batch["batch"] for batch in record["onnx"]["batches"]] == [1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.engine", "model.engine.json"]


def test_bf16_says_that_nothing_was_proven(tmp_path: Path) -> None:
    report = build(small_model(), tmp_path / "model.engine", precision="bf16", batch=2)
    assert (report.proven, report.parity) == ("nothing", None)
    record = assert_describes(tmp_path / "model.engine", "bf16", "2")
    assert "no bf16 kernels" in record["reason"]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_the_parsed_network_takes_clips_and_gives_logits(exported: Path, precision: str) -> None:
    trt = find_tensorrt("rtx")
    prepared = prepare(exported, precision=precision, form=TWO_LEVEL)
    network = parse_network(trt, new_builder(trt), prepared.model, prepared.source)
    check_network(trt, network, prepared.info, prepared.source)
    assert tuple(network.get_input(0).shape) == (-1, 3, 4, 32, 32)
    assert network.num_layers > 0


def test_a_node_that_nobody_serves_is_named(exported: Path) -> None:
    trt = find_tensorrt("rtx")
    prepared = prepare(exported, form=PLUGIN)  # its nodes have no function body, and RTX no plugin
    node = prepared.model.graph.node[
        [node.domain for node in prepared.model.graph.node].index("vmexport")
    ].name
    with pytest.raises(BuildError, match="cannot parse") as caught:
        parse_network(trt, new_builder(trt), prepared.model, "model.onnx")
    assert node in caught.value.why


def test_another_network_than_the_metadata_says_is_refused(exported: Path) -> None:
    trt = find_tensorrt("rtx")
    prepared = prepare(exported, form=TWO_LEVEL)
    prepared.model.graph.input[0].name = "images"
    for node in prepared.model.graph.node:
        node.input[:] = ["images" if value == "clips" else value for value in node.input]
    network = parse_network(trt, new_builder(trt), prepared.model, prepared.source)
    with pytest.raises(BuildError, match="another network"):
        check_network(trt, network, prepared.info, prepared.source)


def test_a_capability_that_it_does_not_know(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not build for compute capability 7\.0"):
        build_engine(exported, tmp_path / "model.engine", runtime="rtx", compute_capabilities=("7.0",))
    assert not list(tmp_path.iterdir())


def test_without_a_gpu_the_engine_is_not_run(exported: Path, tmp_path: Path) -> None:
    if gpu_or_reason()[0] is not None:
        pytest.skip("there is a GPU here")
    build(exported, tmp_path / "model.engine", check=False)
    with pytest.raises(EnvironmentProblem), open_runner(tmp_path / "model.engine"):
        pass


@pytest.mark.integration
def test_the_full_size_model_in_half_precision(tmp_path: Path) -> None:
    path = tmp_path / "model.engine"
    report = build(create_model("videomamba_small"), path, precision="fp16")
    assert report.proven == "onnx"
    record = assert_describes(path, "fp16", "1")
    assert record["onnx"]["status"] == "passed"
    assert report.size_bytes > 2 * 26_000_000


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("batch", [1, "1:2:4"])
def test_the_parser_takes_the_portable_form(batch: int | str, precision: str, tmp_path: Path) -> None:
    import tensorrt_rtx as trt

    export_onnx(small_model(), tmp_path / "model.onnx", batch=batch, precision=precision, portable=True)
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network()
    parser = trt.OnnxParser(network, logger)
    assert parser.parse((tmp_path / "model.onnx").read_bytes()), parser.get_error(0).desc()
    assert network.get_output(0).name == "logits"
