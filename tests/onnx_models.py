"""Models of one node of ours, with or without the function body: the operator seen from ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from vmexport.ops.schema import (
    CAUSAL_CONV1D,
    CONV_INPUTS,
    DOMAIN,
    OPSET_VERSION,
    SCAN_INPUTS,
    SELECTIVE_SCAN,
)

ELEMENT_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
}

SCAN_SHAPES: Mapping[str, Sequence[str | int]] = {
    "u": ("S", "B", "L", "D"),
    "delta": ("S", "B", "L", "D"),
    "A": ("S", "D", "N"),
    "BC": ("S", "B", "L", "2N"),
    "D": ("S", "D"),
    "delta_bias": ("S", "D"),
    "z": ("B", "L", "D"),
    "y": ("B", "L", "D"),
}
CONV_SHAPES: Mapping[str, Sequence[str | int]] = {
    "x": ("B", "L", "D"),
    "weight": ("S", "D", "K"),
    "bias": ("S", "D"),
    "u": ("S", "B", "L", "D"),
}
ALWAYS_FLOAT32 = ("A", "D", "delta_bias", "weight", "bias")


def one_node_model(
    op: str,
    *,
    dtype: str = "float32",
    function: onnx.FunctionProto | None = None,
    opset: int = 18,
    types: Mapping[str, str] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model whose only node is `vmexport::op`; all sizes are free.

    Args:
        op: `SelectiveScan` or `CausalConv1d`.
        dtype: `float32`, `float16` or `bfloat16`, the type T.
        function: body to put into the model.
        opset: of the standard operators.
        types: other element types for some values, to build wrong models.
        **attributes: of the node.
    """
    names, shapes, output = {
        SELECTIVE_SCAN: (SCAN_INPUTS, SCAN_SHAPES, "y"),
        CAUSAL_CONV1D: (CONV_INPUTS, CONV_SHAPES, "u"),
    }[op]
    declared = {name: "float32" if name in ALWAYS_FLOAT32 else dtype for name in (*names, output)}
    declared.update(types or {})

    def info(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, ELEMENT_TYPES[declared[name]], list(shapes[name]))

    node = helper.make_node(op, names, [output], name="node", domain=DOMAIN, **attributes)
    graph = helper.make_graph([node], "one_node", [info(name) for name in names], [info(output)])
    return helper.make_model(
        graph,
        ir_version=9,
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, OPSET_VERSION)],
        functions=[] if function is None else [function],
    )


def open_session(
    model: onnx.ModelProto,
    library: str | None = None,
    threads: int = 1,
    provider: str = "CPUExecutionProvider",
    **config: str,
) -> Any:
    """ONNX Runtime session on one provider, with the operator library of that path if one is given."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    for key, value in config.items():
        options.add_session_config_entry(key, value)
    if library is not None:
        options.register_custom_ops_library(library)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[provider])


def scan_inputs(
    *, directions: int, batch: int, length: int, channels: int, states: int, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """Inputs of a scan of usual size: steps of 0.001 to 0.1, decay rates -1 to -N."""
    random = np.random.default_rng(seed)
    sizes = {"S": directions, "B": batch, "L": length, "D": channels, "N": states, "2N": 2 * states}
    values = {
        name: random.standard_normal([sizes[str(axis)] for axis in SCAN_SHAPES[name]]).astype(np.float32)
        for name in SCAN_INPUTS
    }
    values["A"] = -np.broadcast_to(np.arange(1, states + 1, dtype=np.float32), values["A"].shape).copy()
    values["delta_bias"] -= 4.0
    return values


def conv_inputs(
    *, directions: int, batch: int, length: int, channels: int, taps: int, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """Inputs of a convolution."""
    random = np.random.default_rng(seed)
    sizes = {"S": directions, "B": batch, "L": length, "D": channels, "K": taps}
    return {
        name: random.standard_normal([sizes[str(axis)] for axis in CONV_SHAPES[name]]).astype(np.float32)
        for name in CONV_INPUTS
    }
