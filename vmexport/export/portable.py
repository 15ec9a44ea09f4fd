"""The portable form of a graph: standard operators alone, for runtimes that know neither ours nor functions.

Functions are inlined, constants folded, and every `Scan` is closed: its body reads what comes in as a state
or a slice, and constants of its own. OpenVINO needs all three; docs/runtimes.md says what else runs it.
"""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Iterator

import onnx
from onnx import helper

from vmexport.errors import BuildError
from vmexport.export.attach import CLOSED, attach_functions
from vmexport.export.graph import all_nodes
from vmexport.export.verify import expect_names, expect_valid


def portable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The portable form of a traced graph without function bodies; the graph itself gets bodies.

    Raises:
        BuildError: a loop reads a value that is no constant.
    """
    from onnxscript import optimizer

    attach_functions(model, CLOSED)
    traced = {node.name: node for node in model.graph.node}
    flat: onnx.ModelProto = optimizer.optimize(
        model, input_size_limit=sys.maxsize, output_size_limit=sys.maxsize
    )
    _close(flat.graph)
    _rename(flat.graph, traced)
    _strip(flat.graph)
    flat.ir_version = model.ir_version
    return flat


def verify_portable(model: onnx.ModelProto, path: str) -> None:
    """Check that a model is in portable form.

    Args:
        model: the model as it stands in the file.
        path: the file, for `onnx.checker`.

    Raises:
        BuildError: an operator that is not a standard one, a function, a loop that is not closed, a node
            without a name of its own, or the model is not valid ONNX.
    """
    foreign = {node.domain for node in all_nodes(model.graph)} | {
        entry.domain for entry in model.opset_import
    }
    foreign |= {function.domain for function in model.functions}
    if foreign != {""}:
        raise BuildError(
            "the portable file is not portable", f"it uses the domains {', '.join(sorted(foreign - {''}))}"
        )
    for node, body in _bodies(model.graph):
        if captured := captured_values(body):
            raise BuildError(
                "the portable file is not portable",
                f"the body of {node.name} reads {captured[0]} of the graph around it",
            )
    expect_names(model.graph)
    expect_valid(path)


def captured_values(body: onnx.GraphProto) -> list[str]:
    """What a loop's body or a branch reads of the graph around it, in order of first use."""
    own = {value.name for value in (*body.input, *body.initializer)}
    read: dict[str, None] = {}
    for node in body.node:
        inner = [value for graph in _graphs(node) for value in captured_values(graph)]
        read.update(dict.fromkeys(value for value in (*node.input, *inner) if value and value not in own))
        own.update(node.output)
    return list(read)


def _graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs) if graph.node]


def _bodies(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, onnx.GraphProto]]:
    """The graph's nodes that have bodies, with each of them."""
    for node in graph.node:
        for body in _graphs(node):
            yield node, body


def _close(graph: onnx.GraphProto) -> None:
    """Move the constants that a body reads into it; those that nothing else reads leave the graph."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node, body in _bodies(graph):
        inside = []
        for value in captured_values(body):
            if value not in constants:
                raise BuildError(
                    "the graph has no portable form", f"the body of {node.name} reads {value}, no constant"
                )
            tensor = copy.deepcopy(constants[value])
            tensor.ClearField("name")
            inside.append(helper.make_node("Constant", [], [f"inner_{value}"], value=tensor))
            for reader in body.node:
                reader.input[:] = [f"inner_{value}" if name == value else name for name in reader.input]
        nodes = [*inside, *copy.deepcopy(list(body.node))]
        del body.node[:]
        body.node.extend(nodes)
    read = {value for node in graph.node for value in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in copy.deepcopy(list(graph.initializer)) if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _rename(graph: onnx.GraphProto, traced: dict[str, onnx.NodeProto]) -> None:
    """Give every inlined or folded node and value a name out of the network's modules, unique in the file.

    `CausalConv1d/conv_25` becomes `blocks.0/CausalConv1d/Conv`. Traced nodes keep their names, and so do the
    network's parameters. An inlined node counts to the module that made its last input.
    """
    kept = {value for node in traced.values() for value in (*node.input, *node.output)}
    used: Counter[str] = Counter(traced.keys())
    modules: dict[str, str] = {}
    names: dict[str, str] = {}
    for node in graph.node:
        if node.name in traced:
            module = node.name.partition("/")[0] if "/" in node.name else ""
        else:
            module = next((modules[value] for value in reversed(node.input) if modules.get(value)), "")
            function = node.name.partition("/")[0] if "/" in node.name else ""
            node.name = _unique("/".join(filter(None, (module, function, node.op_type))), used)
        modules.update(dict.fromkeys(node.output, module))
        for position, value in enumerate(node.output):
            if value not in kept:
                names[value] = node.name if position == 0 else f"{node.name}:{position}"
        for value in node.input:
            if value not in names and value not in kept:
                names[value] = _unique(f"{node.name}/constant", used)
        for body in _graphs(node):
            _rename_body(body, node.name)
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    for tensor in (*graph.value_info, *graph.initializer):
        tensor.name = names.get(tensor.name, tensor.name)


def _rename_body(body: onnx.GraphProto, around: str) -> None:
    """The same of a loop's body: `blocks.0/SelectiveScan/Scan/Exp_3`."""
    used: Counter[str] = Counter()
    names = {value.name: f"{around}/{value.name}" for value in body.input}
    for node in body.node:
        node.name = _unique(f"{around}/{node.op_type}", used)
        for position, value in enumerate(node.output):
            names[value] = node.name if position == 0 else f"{node.name}:{position}"
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    for info in (*body.input, *body.output):
        info.name = names[info.name]
    del body.value_info[:]
    body.name = around


def _unique(base: str, used: Counter[str]) -> str:
    """`base`, or `base_1`, `base_2` where it was given before."""
    name = base
    while used[name]:
        name = f"{base}_{used[base]}"
        used[base] += 1
    used[name] += 1
    return name


def _strip(graph: onnx.GraphProto) -> None:
    """Keep the types of values alone, and none of the optimizer's notes."""
    made = {value for node in graph.node for value in node.output} - {value.name for value in graph.output}
    kept = [copy.deepcopy(info) for info in graph.value_info if info.name in made]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for holder in (*all_nodes(graph), *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del holder.metadata_props[:]
