"""What an export tells its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vmexport.runtime.compare import ParityReport


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
