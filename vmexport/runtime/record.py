"""The parity record: what an exported file says of its own comparison with the network it came from."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vmexport.config import ModelInfo
from vmexport.config.names import WRITE_ONNX
from vmexport.documents import fit, parse_json
from vmexport.errors import InputError, ParityError
from vmexport.runtime.compare import ParityReport

PARITY_ENTRY = "parity"
"""Key in `ModelInfo.extra` of the parity record, JSON with at least `status`."""
PARITY_PASSED, PARITY_FAILED, PARITY_SKIPPED = "passed", "failed", "not checked"
VERSIONED = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")
"""Packages whose versions the parity record names."""


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


def read_record(info: ModelInfo, source: str) -> dict[str, Any]:
    """The parity record of a file, empty where it has none; `source` names the file in errors.

    Raises:
        InputError: the record cannot be read, so that nobody knows what it says.
    """
    try:
        return fit(parse_json(info.extra.get(PARITY_ENTRY, "{}")), dict[str, Any])
    except ValueError as error:
        raise InputError(
            f"the metadata of {source} is damaged",
            f"its parity record: {error}",
            f"export it again: {WRITE_ONNX}",
        ) from error


def refuse_failed(info: ModelInfo, source: str, fix: str = "") -> None:
    """Refuse a file that its own export marked as different from the network it came from.

    Args:
        info: what the file says of itself.
        source: its name.
        fix: what to do; by default, to look for the block that differs.

    Raises:
        ParityError: the parity record says `failed`.
        InputError: the record cannot be read, so that nobody knows what it says.
    """
    record = read_record(info, source)
    if record.get("status") == PARITY_FAILED:
        raise ParityError(
            f"{source} is marked: its export failed the parity check",
            str(record.get("reason", "")),
            fix or f"find the block with: vmexport check MODEL {source} --bisect   or export it again",
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
