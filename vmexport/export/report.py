"""What an export tells its caller."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vmexport.export.request import ExportRequest
from vmexport.export.verify import count_nodes
from vmexport.runtime.compare import ParityReport

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class ExportReport:
    """A finished export.

    Attributes:
        path: the file.
        size_bytes: its size.
        nodes: number of nodes by operator, the most frequent first.
        functions: names of the function bodies in the file; empty without fallback and in a portable file.
        opset: version of the default operator domain.
        profile: batches served, `1` or `1:4:8`.
        precision: "fp32" or "fp16".
        portable: whether the file holds standard operators alone.
        parity: the comparison with the network, or None where it was not asked for.
        seconds: wall time of the whole export, the comparison included.
    """

    path: str
    size_bytes: int
    nodes: Mapping[str, int]
    functions: tuple[str, ...]
    opset: int
    profile: str
    precision: str
    portable: bool
    parity: ParityReport | None
    seconds: float


def report_of(
    graph: onnx.ModelProto, path: Path, request: ExportRequest, parity: ParityReport | None, started: float
) -> ExportReport:
    """The report on a file that was just written.

    Args:
        graph: what is in it.
        path: where it lies.
        request: how it was to be exported.
        parity: the comparison, where there was one.
        started: reading of `time.perf_counter` when the export began.
    """
    return ExportReport(
        path=str(path),
        size_bytes=path.stat().st_size,
        nodes=count_nodes(graph.graph),
        functions=tuple(function.name for function in graph.functions),
        opset=request.opset,
        profile=str(request.profile),
        precision=request.precision,
        portable=request.portable,
        parity=parity,
        seconds=time.perf_counter() - started,
    )
