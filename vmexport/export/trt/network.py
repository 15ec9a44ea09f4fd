"""From an ONNX model to a TensorRT network: parsing, the batch profile, and what must hold of the result."""

from __future__ import annotations

from typing import Any

import onnx

from vmexport.config import BatchProfile, ModelInfo
from vmexport.errors import BuildError
from vmexport.native.libraries import TRT_LIBRARY, build_fix
from vmexport.ops.schema import CAUSAL_CONV1D, DOMAIN, SELECTIVE_SCAN
from vmexport.runtime.runner import INPUT_NAME, OUTPUT_NAME
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.logger import complaints, raise_for_memory, reason, trt_logger
from vmexport.runtime.tensorrt.versions import network_flags, parser_error

SHOWN_ERRORS = 5


def parse_network(trt: TensorRT, builder: Any, model: onnx.ModelProto, source: str) -> Any:
    """Parse a model into a new network.

    Args:
        trt: the library.
        builder: an `IBuilder`.
        model: as prepared for this library.
        source: its name in messages.

    Returns:
        the `INetworkDefinition`.

    Raises:
        BuildError: the parser refuses it; names the nodes.
        OutOfMemory: the GPU's memory does not suffice.
    """
    network = builder.create_network(network_flags(trt))
    with complaints(trt) as heard:
        parser = trt.module.OnnxParser(network, trt_logger(trt.module))
        parsed = parser.parse(model.SerializeToString())
    if not parsed:
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        told = [parser_error(error, [node.name for node in model.graph.node]) for error in errors]
        raise_for_memory([*told, *heard], f"not enough GPU memory to parse {source}", "close other programs")
        raise _refused(trt, told or heard, source)
    return network


def check_network(trt: TensorRT, network: Any, info: ModelInfo, source: str) -> None:
    """Names, types and sizes must be those that runners make buffers for.

    Raises:
        BuildError: expected and got.
    """
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    got = {tensor.name: (tuple(tensor.shape)[1:], tensor.dtype) for tensor in (*inputs, *outputs)}
    kind = trt.module.DataType.FLOAT
    expected = {
        INPUT_NAME: (tuple(info.architecture.clip_shape), kind),
        OUTPUT_NAME: ((info.architecture.num_classes,), kind),
    }
    if got != expected or [tensor.name for tensor in inputs] != [INPUT_NAME]:
        raise BuildError(
            f"{trt.name} reads {source} as another network",
            f"expected {expected}, got {got}",
            "export it again: vmexport onnx MODEL",
        )


def add_profile(builder: Any, network: Any, config: Any, profile: BatchProfile) -> None:
    """Tell the builder which batches to serve; a network of one fixed batch needs no telling.

    Raises:
        BuildError: TensorRT refuses the profile.
    """
    shape = tuple(network.get_input(0).shape)
    if shape[0] >= 0:
        return
    bounds = [(batch, *shape[1:]) for batch in (profile.minimum, profile.optimum, profile.maximum)]
    shapes = builder.create_optimization_profile()
    shapes.set_shape(INPUT_NAME, *bounds)
    if config.add_optimization_profile(shapes) < 0:
        raise BuildError("TensorRT refuses the batch profile", f"got {profile}", "--batch 1:4:8")


def _refused(trt: TensorRT, told: list[str], source: str) -> BuildError:
    """The parser's errors in one message."""
    more = f"; and {len(told) - SHOWN_ERRORS} more" if len(told) > SHOWN_ERRORS else ""
    text = " ".join(told)
    ours = any(f"{name}" in text for name in (SELECTIVE_SCAN, CAUSAL_CONV1D, DOMAIN))
    fix = "export it again: vmexport onnx MODEL"
    if ours and trt.features.plugins:
        fix = f"{build_fix(TRT_LIBRARY)} --force"
    return BuildError(f"{trt.name} cannot parse {source}", reason(told[:SHOWN_ERRORS]) + more, fix)
