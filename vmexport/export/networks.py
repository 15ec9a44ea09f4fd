"""Networks for `prepare`, and their graphs: its part that needs torch."""

from __future__ import annotations

from pathlib import Path

import onnx

from vmexport.config import ModelInfo
from vmexport.export.request import DEFAULT_OPSET, network_and_name, refuse_damaged
from vmexport.export.tidy import tidy
from vmexport.export.trace import trace
from vmexport.model import VideoMamba, freeze
from vmexport.model.freeze import FrozenVideoMamba, retyped


def usable_network(source: VideoMamba | Path | str) -> tuple[VideoMamba, str]:
    """A network and its name in messages.

    Raises:
        InputError: no such checkpoint or preset, a damaged one, or weights that are not finite.
    """
    network, name = network_and_name(source)
    refuse_damaged(network, name)
    return network, name


def traced(network: VideoMamba | FrozenVideoMamba, info: ModelInfo) -> onnx.ModelProto:
    """The graph of a network in the precision and for the batches that `info` names.

    Raises:
        BuildError: the exporter failed.
    """
    if isinstance(network, VideoMamba):
        frozen = freeze(network, info.precision)
    else:
        frozen = retyped(network, info.precision)
    graph = trace(frozen, info.architecture, info.profile, DEFAULT_OPSET)
    tidy(graph)
    return graph
