"""Give our operators' nodes a body of standard operators, so that any ONNX runtime can run the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import onnx
from onnx import helper

from vmexport.errors import BuildError
from vmexport.export.functions.conv import causal_conv1d_function
from vmexport.export.functions.scan import selective_scan_function
from vmexport.export.functions.two_level import chunk_tokens, two_level_scan_function
from vmexport.export.graph import operator_nodes
from vmexport.ops.schema import ATTRIBUTES, CAUSAL_CONV1D, SELECTIVE_SCAN

T = TypeVar("T")
Shape = tuple[int, ...]

ONE_LEVEL, TWO_LEVEL, CLOSED = "one level", "two level", "closed"
"""Forms of the scan's body: least work (CPUs), fewest serial steps (GPUs without our plugin), or one level
whose loop reads nothing from outside (`portable`)."""


MANY_KINDS_IR = 10
"""The version of ONNX's format that knows overloads of a function."""


def attach_functions(model: onnx.ModelProto, form: str = ONE_LEVEL) -> None:
    """Add the function bodies that the nodes of `model` need, in place.

    Nodes of an operator that visit the tokens in the same order share one body, which reads what else differs
    between them (states, channels, scale) from its inputs and attributes. A second order is an overload of
    the function, which older runtimes do not know (ONNX Runtime 1.20 takes the first body for both) unless
    the operator library is there.

    Args:
        model: a graph without function bodies.
        form: `ONE_LEVEL`, `TWO_LEVEL` or `CLOSED`.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    shapes = _shapes(model.graph)
    for kind, write in ((SELECTIVE_SCAN, _scan_body), (CAUSAL_CONV1D, _convolution_body)):
        by_order: dict[str, list[onnx.NodeProto]] = {}
        for node in operator_nodes(model.graph, kind):
            by_order.setdefault(_order(node, shapes), []).append(node)
        for number, nodes in enumerate(by_order.values()):
            body = write(nodes, shapes, opset, form)
            if number:
                body.overload = f"order_{number}"
                model.ir_version = max(model.ir_version, MANY_KINDS_IR)
                for node in nodes:
                    node.overload = body.overload
            model.functions.append(body)


def _scan_body(
    nodes: list[onnx.NodeProto], shapes: Mapping[str, Shape], opset: int, form: str
) -> onnx.FunctionProto:
    """One body for scans in one order."""
    settings = {
        **_order_attributes(nodes[0]),
        "scale": _common(_attributes(node)["scale"] for node in nodes),
        "states": _common(_size(shapes, node.input[2], -1) for node in nodes),  # A is (S, D, N)
        "opset": opset,
    }
    if form == TWO_LEVEL:
        longest = max(_size(shapes, node.input[0], 2) or 1 for node in nodes)  # u is (S, B, L, D)
        return two_level_scan_function(**settings, chunk=chunk_tokens(longest))
    return selective_scan_function(**settings, closed=form == CLOSED)


def _convolution_body(
    nodes: list[onnx.NodeProto], shapes: Mapping[str, Shape], opset: int, form: str
) -> onnx.FunctionProto:
    """One body for convolutions in one order and of as many taps; the form is the scans' alone."""
    weight = nodes[0].input[1]  # (S, D, K)
    return causal_conv1d_function(
        **_order_attributes(nodes[0]),
        channels=_common(_size(shapes, node.input[1], 1) for node in nodes),
        taps=shapes[weight][2],
        opset=opset,
    )


def _shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    """Shape of every value for which the graph states one; 0 for an axis that is symbolic."""
    found = {
        info.name: tuple(axis.dim_value for axis in info.type.tensor_type.shape.dim)
        for info in (*graph.input, *graph.value_info, *graph.output)
    }
    return {**found, **{tensor.name: tuple(tensor.dims) for tensor in graph.initializer}}


def _size(shapes: Mapping[str, Shape], value: str, axis: int) -> int | None:
    """Size of an axis, None where the graph does not state it."""
    shape = shapes.get(value, ())
    return (shape[axis] or None) if shape else None


def _common(values: Iterable[T | None]) -> T | None:
    """The value that all nodes share; None where they differ."""
    first, *others = values
    return first if all(other == first for other in others) else None


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _order_attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes for whose values a body is made."""
    return {name: value for name, value in _attributes(node).items() if name in ATTRIBUTES}


def _order(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> str:
    """What nodes must share to share a body: the order, and the taps of a convolution.

    Raises:
        BuildError: a convolution whose weight has no stated shape.
    """
    taps = _size(shapes, node.input[1], 2) if node.op_type == CAUSAL_CONV1D else 0
    if taps is None:
        raise BuildError(
            "the function body cannot serve this network",
            f"the graph does not state how many taps {node.name} has",
            "export with fallback=False (--no-fallback) and use the operator library",
        )
    return f"{_order_attributes(node)} {taps}"
