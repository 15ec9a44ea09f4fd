"""The PyTorch network that an exported file computes, rebuilt from the file alone.

An `.onnx` file of ours keeps the names of the frozen network's parameters, so the file can be timed against
PyTorch on the same weights even where no checkpoint lies beside it.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch

from vmexport.config import ModelInfo
from vmexport.errors import InputError
from vmexport.export.metadata import load_onnx
from vmexport.model import VideoMamba
from vmexport.model.freeze import FrozenVideoMamba, freeze


def frozen_network(path: Path | str) -> FrozenVideoMamba:
    """Rebuild the float32 inference form from the initialisers of an `.onnx` file.

    Args:
        path: a file written by `export_onnx`, of any precision; half-precision weights are widened exactly.

    Raises:
        InputError: no such file, one from elsewhere, or one whose initialisers are not the network's.
    """
    graph = load_onnx(path)
    info = ModelInfo.from_metadata({entry.key: entry.value for entry in graph.metadata_props}, str(path))
    with torch.device("meta"):  # the sizes only; the numbers come from the file
        frozen = freeze(VideoMamba(info.architecture))
    initialisers = {tensor.name: tensor for tensor in graph.graph.initializer}
    expected = frozen.state_dict()
    missing = sorted(name for name in expected if name not in initialisers)
    if missing:
        raise InputError(
            f"the PyTorch network cannot be rebuilt from {path}",
            f"{len(missing)} of {len(expected)} parameters do not stand in it by name, first {missing[0]}",
            "give the checkpoint in place of the .onnx file: vmexport bench model.safetensors",
        )
    state = {
        name: torch.from_numpy(onnx.numpy_helper.to_array(initialisers[name]).astype("float32")).reshape(
            meta.shape
        )
        for name, meta in expected.items()
    }
    frozen.load_state_dict(state, assign=True)
    return frozen.requires_grad_(False).eval()
