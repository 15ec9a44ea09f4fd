"""What must hold of a graph before it may be called exported."""

from __future__ import annotations

from collections import Counter

import onnx
from onnx import TensorProto

from vmexport.config import Architecture
from vmexport.errors import BuildError
from vmexport.export.graph import all_nodes, operator_nodes
from vmexport.ops.schema import CAUSAL_CONV1D, CONV_INPUTS, DOMAIN, SCAN_INPUTS, SELECTIVE_SCAN

ACTIVATION_TYPES = {
    "fp32": TensorProto.FLOAT,
    "fp16": TensorProto.FLOAT16,
    "bf16": TensorProto.BFLOAT16,
}
ISLANDS = {SELECTIVE_SCAN: ("A", "D", "delta_bias"), CAUSAL_CONV1D: ("weight", "bias")}
"""Inputs of each operator that stay float32 in every precision."""

LARGEST_FILE_BYTES = 2**31 - 1
"""Protobuf's limit; a file of ours is always one file."""

_INPUTS = {SELECTIVE_SCAN: SCAN_INPUTS, CAUSAL_CONV1D: CONV_INPUTS}


def verify(model: onnx.ModelProto, architecture: Architecture, precision: str, path: str) -> None:
    """Check operators, types and form of an exported model.

    Args:
        model: the model as it stands in the file.
        architecture: the network that it must be.
        precision: "fp32", "fp16" or "bf16".
        path: the file, for `onnx.checker`, and for messages.

    Raises:
        BuildError: an operator is missing or in the wrong number, a float32 island was retyped, a node has no
            name of its own, or the model is not valid ONNX.
    """
    verify_model(model, architecture, precision)
    expect_valid(path)


def expect_valid(path: str) -> None:
    """Refuse a file that is not valid ONNX.

    Raises:
        BuildError: with what `onnx.checker` says.
    """
    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        raise BuildError("the exported graph is not valid ONNX", str(error).strip()) from error


def expect_one_file(graph: onnx.ModelProto) -> None:
    """Refuse a graph that does not fit into one file.

    Raises:
        BuildError: with its size and the limit.
    """
    size = graph.ByteSize()
    if size > LARGEST_FILE_BYTES:
        raise BuildError(
            "the model is too large for one ONNX file",
            f"at most {LARGEST_FILE_BYTES} bytes, got {size}",
            "export with --fp16, which halves it",
        )


def verify_model(model: onnx.ModelProto, architecture: Architecture, precision: str) -> None:
    """Check operators, types and names.

    Raises:
        BuildError: an operator is missing or in the wrong number, a value has a wrong type, or a node has no
            name of its own.
    """
    graph = model.graph
    for part in (graph, *model.functions):
        expect_names(part)
    types = _value_types(graph)
    for kind, names in _INPUTS.items():
        nodes = operator_nodes(graph, kind)
        _expect(f"{DOMAIN}::{kind} nodes", architecture.depth, len(nodes))
        for node in nodes:
            _expect(f"inputs of {node.name}", len(names), len(node.input))
            for name, value in zip(names, node.input, strict=True):
                island = name in ISLANDS[kind]
                expected = TensorProto.FLOAT if island else ACTIVATION_TYPES[precision]
                _expect_type(f"{name} of {node.name}", expected, types.get(value))
    for value in (*graph.input, *graph.output):
        _expect_type(value.name, TensorProto.FLOAT, value.type.tensor_type.elem_type)


def count_nodes(graph: onnx.GraphProto) -> dict[str, int]:
    """Nodes by operator, the most frequent first; ours carry their domain."""
    kinds = Counter(f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in graph.node)
    return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def _value_types(graph: onnx.GraphProto) -> dict[str, int]:
    """Element type of every value whose type the file states."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for info in (*graph.input, *graph.value_info, *graph.output):
        types[info.name] = info.type.tensor_type.elem_type
    return types


def expect_names(part: onnx.GraphProto | onnx.FunctionProto) -> None:
    """Refuse nodes without a name, or with another node's: older runtimes do not load them.

    Raises:
        BuildError: with the first such name.
    """
    nodes = Counter(node.name for node in all_nodes(part))
    for name, times in nodes.items():
        if not name or times > 1:
            raise BuildError(
                "the exported graph has nodes without a name of their own",
                f"{times} nodes of {part.name} are called {name!r}",
            )


def _expect(what: str, expected: int, got: int) -> None:
    """Refuse a wrong number."""
    if expected != got:
        raise BuildError("the exported graph is not the network", f"{what}: expected {expected}, got {got}")


def _expect_type(what: str, expected: int, got: int | None) -> None:
    """Refuse a wrong element type, or none."""
    if expected != got:
        name = TensorProto.DataType.Name(got) if got is not None else "none stated"
        raise BuildError(
            "the exported graph has a wrong type",
            f"{what}: expected {TensorProto.DataType.Name(expected)}, got {name}",
        )
