"""The PyTorch network that an exported file computes, rebuilt from the file alone.

An `.onnx` file of ours keeps the names of the frozen network's parameters, so the file can be timed against
PyTorch on the same weights even where no checkpoint lies beside it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch

from vmexport.config import ModelInfo
from vmexport.errors import InputError
from vmexport.export.metadata import load_onnx, read_metadata
from vmexport.model import VideoMamba
from vmexport.model.freeze import FrozenVideoMamba, freeze


def frozen_network(path: Path | str) -> FrozenVideoMamba:
    """Rebuild the float32 inference form from the initialisers of an `.onnx` file.

    Args:
        path: a file written by `export_onnx`, of any precision; half-precision weights are widened exactly.

    Raises:
        InputError: no such file, one from elsewhere, or one whose initialisers are not the network's.
    """
    model = load_onnx(path)
    return rebuild_frozen(model, read_metadata(model, str(path)), str(path))


def rebuild_frozen(model: onnx.ModelProto, info: ModelInfo, source: str) -> FrozenVideoMamba:
    """The same of a loaded file.

    Args:
        model: the file's graph.
        info: what it says of itself.
        source: its name in errors.

    Raises:
        InputError: its initialisers are not the network's.
    """
    with torch.device("meta"):  # the sizes only; the numbers come from the file
        frozen = freeze(VideoMamba(info.architecture))
    expected = frozen.state_dict()
    found = _parameters(model.graph)
    missing = sorted(name for name in expected if name not in found)
    if missing:
        raise InputError(
            f"the PyTorch network cannot be rebuilt from {source}",
            f"{len(missing)} of {len(expected)} parameters do not stand in it by name, first {missing[0]}",
            "give the checkpoint in place of the .onnx file: vmexport bench model.safetensors",
        )
    state = {name: _tensor(found[name], meta) for name, meta in expected.items()}
    frozen.load_state_dict(state, assign=True)
    frozen.info = replace(info, precision="fp32")
    return frozen.requires_grad_(False).eval()


def _parameters(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Initialisers by parameter name, those included that the exporter did not store under it.

    Equal parameters are stored once, under the first one's name; the others are found where they are read.
    The class token's row becomes a constant of the embedding's `Concat`, and a head's bias of zeros is left
    out.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, onnx.TensorProto] = {}
    for node in graph.node:
        for value in node.input:
            if value in stored:
                found.update(dict.fromkeys(_names_where_read(node, value), stored[value]))
    found.update(stored)
    if "head.weight" in found:
        no_bias = onnx.numpy_helper.from_array(np.zeros(found["head.weight"].dims[0], np.float32))
        found.setdefault("head.bias", no_bias)
    return found


def _names_where_read(node: onnx.NodeProto, value: str) -> list[str]:
    """Names that an initialiser may have in the module of a node that reads it.

    `blocks.0.mixer.D`, read in `blocks.3`, is `blocks.3.mixer.D`; `blocks.0.norm.weight`, read in `norm`, is
    `norm.weight`.
    """
    if node.op_type == "Concat":
        return ["embedding.class_row"]
    module = node.name.split("/")[0]
    below = value.split(".")[len(module.split(".")) :]
    return [".".join([module, *below]), f"{module}.{value.rpartition('.')[2]}"]


def _tensor(stored: onnx.TensorProto, meta: torch.Tensor) -> torch.Tensor:
    """An initialiser as a float32 tensor of the parameter's shape."""
    return torch.from_numpy(onnx.numpy_helper.to_array(stored).astype("float32")).reshape(meta.shape)
