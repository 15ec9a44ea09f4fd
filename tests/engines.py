"""A machine with a fake GPU and a fake TensorRT, and engines made for it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fake_cuda import FakeCuda
from fake_tensorrt import FakeTensorRT, fake_engine
from onnx import TensorProto, helper, numpy_helper
from small import small_architecture

from vmexport.config import BatchProfile, ModelInfo
from vmexport.export.metadata import read_info, write_info
from vmexport.native.plugin_info import PluginBuild
from vmexport.runtime.runner import INPUT_NAME, OUTPUT_NAME, Array
from vmexport.runtime.tensorrt.sidecar import EngineInfo, PluginRecord, write_engine

PROFILE = BatchProfile(1, 2, 6)
VERSIONS = ("8.6.1", "10.0.1", "10.3.0", "10.13.3.9", "11.1.0")
RTX_VERSION = "1.7.1.116"
LIBRARY = Path("libvmexport_trt.so")


@dataclass(frozen=True)
class Machine:
    """What a test changes and asks."""

    cuda: FakeCuda
    trt: FakeTensorRT


def linear_model(path: Path) -> Path:
    """Write an `.onnx` file that is quick to run: logits are a linear map of the clips (`linear_logits`)."""
    architecture = small_architecture()
    clips = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["B", *architecture.clip_shape])
    logits = helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["B", architecture.num_classes])
    nodes = [
        helper.make_node("Flatten", [INPUT_NAME], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weight"], [OUTPUT_NAME]),
    ]
    weight = numpy_helper.from_array(_weight(), "weight")
    graph = helper.make_graph(nodes, "linear", [clips], [logits], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    write_info(model, ModelInfo(architecture, profile=PROFILE))
    onnx.save(model, str(path))
    return path


def linear_logits(clips: Array) -> Array:
    """What `linear_model` computes."""
    return clips.reshape(len(clips), -1) @ _weight()


def _weight() -> Array:
    """`(3 T H W, classes)` float32."""
    architecture = small_architecture()
    size = int(np.prod(architecture.clip_shape))
    generator = np.random.default_rng(5)
    return generator.standard_normal((size, architecture.num_classes)).astype(np.float32)


def fake_machine(
    patch: pytest.MonkeyPatch,
    version: str = "10.3.0",
    *,
    rtx: bool = False,
    plugin: bool | None = None,
    built_for: str = "sm_87 compute_90",
    **gpu: Any,
) -> Machine:
    """Put a fake GPU and TensorRT in place of this machine's.

    Args:
        patch: undoes it.
        version: of TensorRT.
        rtx: TensorRT-RTX instead; the other flavour is then not installed.
        plugin: whether the plugin library is built for this TensorRT; None: not for RTX.
        built_for: the GPUs that it is built for.
        **gpu: arguments of `FakeCuda`.
    """
    plugin = not rtx if plugin is None else plugin
    headers = "11.1.0" if rtx else version
    cuda = FakeCuda(**gpu)
    trt = FakeTensorRT(version, cuda, rtx)
    trt.libraries = {str(LIBRARY): ("SelectiveScan", "CausalConv1d")} if plugin else {}
    patch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    patch.setitem(sys.modules, "tensorrt", None if rtx else trt)
    patch.setitem(sys.modules, "tensorrt_rtx", trt if rtx else None)
    where = "vmexport.runtime.tensorrt.plugin"
    patch.setattr(f"{where}.library_path", lambda name, major: LIBRARY if plugin else None)
    patch.setattr(
        f"{where}.read_plugin_build", lambda path: PluginBuild("0.1.0", headers, "IPluginV3", built_for)
    )
    return Machine(cuda, trt)


def make_engine(
    path: Path,
    onnx: Path,
    machine: Machine | None = None,
    *,
    header: dict[str, Any] | None = None,
    **record: Any,
) -> EngineInfo:
    """Write an engine of an `.onnx` file, and its sidecar.

    Args:
        path: the engine.
        onnx: what it computes.
        machine: whose TensorRT and GPU it is for; without one, TensorRT 10.3.0 on an Orin.
        header: entries of the engine's own header that differ.
        **record: entries of the sidecar that differ.
    """
    rtx = machine is not None and machine.trt.rtx
    version = machine.trt.__version__ if machine else "10.3.0"
    values: dict[str, Any] = {
        "model": read_info(onnx),
        "flavour": "rtx" if rtx else "tensorrt",
        "version": version,
        "compute_capabilities": ("8.7",),
        "gpu": "Fake Orin",
        "cuda": "12.6",
        "plugin": None if rtx else PluginRecord("0.1.0", namespace="vmexport"),
    }
    content = fake_engine(onnx.read_bytes(), **{"version": version, "plugin": not rtx, **(header or {})})
    return write_engine(path, content, EngineInfo(**{**values, **record}))
