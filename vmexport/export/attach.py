"""Give our operators' nodes a body of standard operators, so that any ONNX runtime can run the file."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper

from vmexport.errors import BuildError
from vmexport.export.functions.conv import causal_conv1d_function
from vmexport.export.functions.scan import selective_scan_function
from vmexport.export.functions.two_level import chunk_tokens, two_level_scan_function
from vmexport.export.graph import operator_nodes
from vmexport.ops.schema import ATTRIBUTES, CAUSAL_CONV1D, SCALE_ATTRIBUTE, SELECTIVE_SCAN

ONE_LEVEL, TWO_LEVEL, CLOSED = "one level", "two level", "closed"
"""Forms of the scan's body: least work (CPUs), fewest serial steps (GPUs without our plugin), or one level
whose loop reads nothing from outside (`portable`)."""

_SHAPING = (*ATTRIBUTES, SCALE_ATTRIBUTE.name)


def attach_functions(model: onnx.ModelProto, form: str = ONE_LEVEL) -> None:
    """Add one function body an operator to `model`, in place.

    Args:
        model: a graph without function bodies.
        form: `ONE_LEVEL`, `TWO_LEVEL` or `CLOSED`.

    Raises:
        BuildError: nodes of one operator differ in their attributes, which one body cannot serve.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    scans = operator_nodes(model.graph, SELECTIVE_SCAN)
    convolutions = operator_nodes(model.graph, CAUSAL_CONV1D)
    states = shapes[scans[0].input[2]][-1]  # A is (S, D, N)
    _, channels, taps = shapes[convolutions[0].input[1]]  # weight is (S, D, K)
    settings = {**_common_attributes(scans), "states": states, "opset": opset}
    if form == TWO_LEVEL:
        scan = two_level_scan_function(**settings, chunk=chunk_tokens(_length(model.graph, scans[0])))
    else:
        scan = selective_scan_function(**settings, closed=form == CLOSED)
    convolution = causal_conv1d_function(
        **_common_attributes(convolutions), channels=channels, taps=taps, opset=opset
    )
    model.functions.extend((scan, convolution))


def _length(graph: onnx.GraphProto, scan: onnx.NodeProto) -> int:
    """Tokens `L` of a scan's u (S, B, L, D), which the export states."""
    (info,) = (info for info in graph.value_info if info.name == scan.input[0])
    return int(info.type.tensor_type.shape.dim[2].dim_value)


def _common_attributes(nodes: list[onnx.NodeProto]) -> dict[str, Any]:
    """The attributes that a body is made for, which all nodes of one network share."""
    first, *others = [
        {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name in _SHAPING}
        for node in nodes
    ]
    if any(other != first for other in others):
        raise BuildError(
            "the function body cannot serve this network",
            f"nodes of {nodes[0].op_type} differ in their attributes",
            "export with --no-fallback and use the operator library",
        )
    return first
