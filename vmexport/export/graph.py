"""Finding things in an exported graph: who makes a value, who reads it, where the residual stream runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import onnx

from vmexport.errors import BuildError
from vmexport.ops.schema import DOMAIN, SELECTIVE_SCAN

EMBEDDING = "embedding"


def block_name(index: int) -> str:
    """Name of the residual stream after a block, `block_03`."""
    return f"block_{index:02d}"


def all_nodes(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.NodeProto]:
    """All nodes of a graph or a function, those of loop bodies and branches too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from all_nodes(inner)


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each value."""
    return {value: node for node in graph.node for value in node.output}


def consumers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each value, in graph order."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for value in node.input:
            readers[value].append(node)
    return readers


def operator_nodes(graph: onnx.GraphProto, kind: str) -> list[onnx.NodeProto]:
    """The nodes of one of our operators, in graph order."""
    return [node for node in graph.node if node.domain == DOMAIN and node.op_type == kind]


def residual_streams(graph: onnx.GraphProto) -> dict[str, str]:
    """Names for the residual stream: `embedding` before the first block, `block_00` after it, and so on.

    Every block ends where the scan's output, projected, is added to the stream; that addition is found from
    the graph alone, so that it does not depend on how a tracer names values.

    Returns:
        present name of a value to its new name.

    Raises:
        BuildError: a scan whose output is not added to a residual stream.
    """
    readers, makers = consumers(graph), producers(graph)
    weights = {tensor.name for tensor in graph.initializer}
    names: dict[str, str] = {}
    for index, scan in enumerate(operator_nodes(graph, SELECTIVE_SCAN)):
        value, addition = _residual_addition(scan, readers, weights, index)
        if index == 0:
            stream = next(other for other in addition.input if other != value)
            while stream in makers and makers[stream].op_type in _SELECTIONS:
                stream = makers[stream].input[0]
            names[stream] = EMBEDDING
        names[addition.output[0]] = block_name(index)
    return names


_SELECTIONS = ("Gather", "Slice", "Squeeze", "Reshape")
"""How the last block picks the class token's row out of the stream."""


def _residual_addition(
    scan: onnx.NodeProto, readers: dict[str, list[onnx.NodeProto]], weights: set[str], index: int
) -> tuple[str, onnx.NodeProto]:
    """Follow a scan's output to the node that adds it to the stream; its input on that side, and the node."""
    value = scan.output[0]
    while True:
        following = readers.get(value, [])
        if len(following) != 1:
            raise BuildError(
                f"the graph of block {index} has an unknown form",
                f"{value} is read by {len(following)} nodes on the way to the residual addition",
            )
        node = following[0]
        if node.op_type == "Add" and not weights.intersection(node.input):
            return value, node
        value = node.output[0]
