"""The real plugin in the real TensorRT-RTX: its parser and its builder, which need no GPU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import real_tensorrt
from small import small_model

from vmexport.export.prepare import PLUGIN, prepare
from vmexport.export.trt import build_engine
from vmexport.export.trt.config import new_builder
from vmexport.export.trt.network import parse_network
from vmexport.model import create_model
from vmexport.runtime.tensorrt.device import gpu_or_reason
from vmexport.runtime.tensorrt.library import find_tensorrt
from vmexport.runtime.tensorrt.plugin import ensure_plugin
from vmexport.runtime.tensorrt.rtx_name import provide_short_name
from vmexport.runtime.tensorrt.sidecar import PluginRecord, read_engine

pytestmark = pytest.mark.integration
CAPABILITIES = ("8.6", "8.9")


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plugin as it is built for TensorRT 11 or 10, in place of the one that this machine may have."""
    real_tensorrt.rtx_library()
    path = real_tensorrt.plugins(11, 10) / "tensorrt" / "libvmexport_trt.so"
    monkeypatch.setattr("vmexport.runtime.tensorrt.plugin.library_path", lambda name, major: path)
    return path


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_the_parser_takes_the_plugins(precision: str) -> None:
    """Every node of ours becomes a plugin layer, whose types and shapes are the plugin's own."""
    trt = find_tensorrt("rtx")
    ensure_plugin(trt, "a test", None)
    provide_short_name()
    prepared = prepare(small_model(), precision=precision, form=PLUGIN)
    network = parse_network(trt, new_builder(trt), prepared.model, prepared.source)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    kind = {"fp32": trt.module.float32, "fp16": trt.module.float16, "bf16": trt.module.bfloat16}[precision]
    found = [layer for layer in layers if layer.type == trt.module.LayerType.PLUGIN_V3]
    assert [layer.name for layer in found] == [
        node.name for node in prepared.model.graph.node if node.domain == "vmexport"
    ]
    assert {layer.get_output(0).dtype for layer in found} == {kind}
    assert [len(layer.get_output(0).shape) for layer in found] == [4, 3] * (len(found) // 2)


def engine_plugins(content: bytes) -> dict[str, set[str]]:
    """Names of the layers that an engine has plugins for, by the plugin."""
    found = re.findall(rb'buffer=\{ name="([^"]*?/(\w+))_U\d+_pluginNamespace"', content)
    names: dict[str, set[str]] = {}
    for layer, plugin in found:
        names.setdefault(plugin.decode(), set()).add(layer.decode())
    return names


@pytest.mark.parametrize(
    ("model", "depth"),
    [(small_model, 2), (lambda: create_model("videomamba_small"), 24)],
    ids=["small", "full"],
)
def test_an_engine_is_built_ahead_of_time(model: Any, depth: int, tmp_path: Path) -> None:
    """The builder never runs a plugin, so that it needs no GPU; all that runs an engine needs one."""
    path = tmp_path / "model.engine"
    report = build_engine(model(), path, runtime="rtx", precision="fp16", compute_capabilities=CAPABILITIES)
    assert (report.plugin, report.proven) == (True, "onnx")
    info, content = read_engine(path)
    assert info.plugin == PluginRecord(info.plugin.version if info.plugin else "", False, "vmexport")
    assert info.parity["onnx"]["status"] == "passed"
    assert {name: len(layers) for name, layers in engine_plugins(content).items()} == {
        "SelectiveScan": depth,
        "CausalConv1d": depth,
    }


def test_without_a_gpu_an_engine_is_not_loaded(tmp_path: Path) -> None:
    """How far it goes: the runtime takes the engine up and stops where it asks CUDA for a stream."""
    if gpu_or_reason()[0] is not None:
        pytest.skip("there is a GPU here")
    trt = find_tensorrt("rtx")
    build_engine(
        small_model(), tmp_path / "m.engine", runtime="rtx", compute_capabilities=CAPABILITIES, check=False
    )
    said: list[str] = []

    class Logger(trt.module.ILogger):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            trt.module.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            said.append(message)

    runtime = trt.module.Runtime(Logger())
    assert runtime.deserialize_cuda_engine((tmp_path / "m.engine").read_bytes()) is None
    assert any("Cuda Runtime (In ScopedCudaStream" in line for line in said), said


def test_the_portable_form_stays_portable(tmp_path: Path) -> None:
    """In a process that has the plugin too."""
    path = tmp_path / "model.engine"
    ensure_plugin(find_tensorrt("rtx"), "a test", None)
    build_engine(small_model(), path, runtime="rtx", compute_capabilities=CAPABILITIES, plugin=False)
    info, content = read_engine(path)
    assert info.plugin is None
    assert engine_plugins(content) == {}
