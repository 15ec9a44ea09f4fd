"""Make an exported graph readable, the same on every run, and free of traces of the machine it came from."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping

import onnx

from vmexport.export.graph import consumers, producers
from vmexport.ops.schema import DOMAIN, OPSET_VERSION

IR_VERSION = 9
"""Newest that opset 18 to 20 needs; newer ones would shut out older runtimes for nothing."""

PRODUCER = "vmexport"
SCOPES = "pkg.torch.onnx.name_scopes"


def tidy(model: onnx.ModelProto, known: Mapping[str, str]) -> None:
    """Rename, strip and stamp a freshly traced model, in place.

    Names follow the network's modules (`blocks.3.mixer/MatMul_1`).

    Args:
        model: what the exporter made.
        known: new names of values that have one for a reason, such as inputs and outputs, by present name.
    """
    _drop_private_attributes(model.graph.node)
    _rename(model.graph, known)
    _name_batch_axis(model.graph)
    _strip(model)
    _set_opsets(model)
    model.ir_version = IR_VERSION
    model.producer_name = PRODUCER
    model.ClearField("producer_version")
    model.graph.name = PRODUCER


def _drop_private_attributes(nodes: Iterable[onnx.NodeProto]) -> None:
    """Remove the exporter's own attributes, which begin with `_` and which strict parsers refuse."""
    for node in nodes:
        kept = [attribute for attribute in node.attribute if not attribute.name.startswith("_")]
        if len(kept) != len(node.attribute):
            del node.attribute[:]
            node.attribute.extend(kept)


def _rename(graph: onnx.GraphProto, known: Mapping[str, str]) -> None:
    """Give nodes, values and folded constants names out of the network's own modules."""
    names = _value_names(graph, known)
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    for value in [*graph.value_info, *graph.initializer]:
        value.name = names.get(value.name, value.name)
    _order_value_info(graph)


def _value_names(graph: onnx.GraphProto, known: Mapping[str, str]) -> dict[str, str]:
    """New name of every computed value and folded constant; sets the nodes' names on the way.

    A node of no known module counts to the module that made its last input.
    """
    used: Counter[str] = Counter()
    names = dict(known)
    modules: dict[str, str] = {}
    for node in graph.node:
        module = _module(node) or next((modules[v] for v in reversed(node.input) if modules.get(v)), "")
        modules.update(dict.fromkeys(node.output, module))
        base = f"{module}/{node.op_type}".lstrip("/")
        used[base] += 1
        node.name = base if used[base] == 1 else f"{base}_{used[base] - 1}"
        for position, value in enumerate(node.output):
            names.setdefault(value, node.name if position == 0 else f"{node.name}:{position}")
    constants = [tensor.name for tensor in graph.initializer if "." not in tensor.name]  # no module: folded
    made, users = producers(graph), consumers(graph)
    for value in constants:
        first = users[value][0].name if users.get(value) and value not in made else value
        used[f"{first}/constant"] += 1
        count = used[f"{first}/constant"]
        names[value] = f"{first}/constant" if count == 1 else f"{first}/constant_{count - 1}"
    return names


def _module(node: onnx.NodeProto) -> str:
    """Path of the module that a node was traced in, such as `blocks.3.norm`; empty where it is not known."""
    for entry in node.metadata_props:
        if entry.key == SCOPES:
            try:
                scopes = ast.literal_eval(entry.value)
            except (ValueError, SyntaxError):
                return ""
            module = str(scopes[-2]) if len(scopes) > 1 else ""
            return "" if module.startswith("_") else module
    return ""


def _order_value_info(graph: onnx.GraphProto) -> None:
    """Keep types of values that exist, in graph order; they tell parsers the custom operators' shapes."""
    infos = {info.name: info for info in graph.value_info}
    kept = [infos[value] for node in graph.node for value in node.output if value in infos]
    kept = [onnx.ValueInfoProto.FromString(info.SerializeToString()) for info in kept]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _name_batch_axis(graph: onnx.GraphProto) -> None:
    """Call the one symbolic axis by the input's name for it, in place of the tracer's `s7`."""
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for info in graph.value_info:
        for axis in info.type.tensor_type.shape.dim:
            if axis.dim_param and axis.dim_param.isidentifier():
                axis.dim_param = batch


def _strip(model: onnx.ModelProto) -> None:
    """Remove the tracer's notes: they hold source lines and paths of the exporting machine."""
    graph = model.graph
    for holder in (
        model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer,
    ):  # fmt: skip
        del holder.metadata_props[:]
        holder.ClearField("doc_string")


def _set_opsets(model: onnx.ModelProto) -> None:
    """Import the default domain and ours, each once."""
    default = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    del model.opset_import[:]
    model.opset_import.extend(
        [onnx.helper.make_opsetid("", default), onnx.helper.make_opsetid(DOMAIN, OPSET_VERSION)]
    )
