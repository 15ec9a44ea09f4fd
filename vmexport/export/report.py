"""What an export tells its caller and writes into its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from vmexport.runtime.compare import ParityReport
from vmexport.runtime.onnx_runner import PARITY_FAILED

PARITY_PASSED, PARITY_SKIPPED = "passed", "not checked"
VERSIONED = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")
"""Packages whose versions the parity record names."""


@dataclass(frozen=True)
class ExportReport:
    """A finished export.

    Attributes:
        path: the file.
        size_bytes: its size.
        nodes: number of nodes by operator, the most frequent first.
        functions: names of the function bodies in the file; empty without fallback.
        opset: version of the default operator domain.
        profile: batches served, `1` or `1:4:8`.
        precision: "fp32" or "fp16".
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
    parity: ParityReport | None
    seconds: float


def parity_record(report: ParityReport | None, library: str) -> str:
    """The parity entry of a file's metadata, as JSON.

    Args:
        report: the comparison, None where there was none.
        library: what computed the file's side, such as `ONNX Runtime 1.22, operator library`.
    """
    if report is None:
        return json.dumps({"status": PARITY_SKIPPED, "versions": _versions()})
    return json.dumps(
        {
            "status": PARITY_PASSED if report.passed else PARITY_FAILED,
            "reason": report.reason,
            "reference": "PyTorch, float32",
            "backend": library,
            "tolerance": asdict(report.tolerance),
            "batches": [asdict(batch) for batch in report.batches],
            "versions": _versions(),
        }
    )


def _versions() -> dict[str, str]:
    """Versions of the packages that an export depends on."""
    found = {}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
