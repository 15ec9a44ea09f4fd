"""The parity record: what an exported file says of its own comparison with the network it came from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from vmexport.config import ModelInfo
from vmexport.config.names import WRITE_ONNX
from vmexport.documents import fit, parse_json
from vmexport.errors import InputError, ParityError
from vmexport.runtime.compare import ParityReport
from vmexport.runtime.tolerance import TOLERANCES, Agreement, Tolerance

PARITY_ENTRY = "parity"
"""Key in `ModelInfo.extra` of the parity record, JSON with at least `status`."""
DIGEST = "digest"
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
        return seal({"status": PARITY_SKIPPED, "versions": _versions()})
    return seal(
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


def seal(record: Mapping[str, Any]) -> str:
    """A record as JSON, with a digest of all that it says; figures that are not finite become null.

    A change by hand is seen by it.

    Who changes the digest too is not found out: a file's own words prove nothing about its author.
    """
    said = _finite({name: value for name, value in record.items() if name != DIGEST})
    return json.dumps({**said, DIGEST: _digest(said)})


def _finite(value: Any) -> Any:
    """The same without NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(said: Mapping[str, Any]) -> str:
    """SHA-256 of a record without its digest, hexadecimal."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def record_fault(info: ModelInfo) -> str:
    """What is wrong with the parity record of an exported file, in a sentence; empty where nothing is.

    It may be missing, unreadable, changed after it was written, contradict itself, or say `failed`. Records
    of versions before the digest have none.
    """
    if PARITY_ENTRY not in info.extra:
        return "its parity record is missing: every export writes one, so somebody removed it"
    try:
        record = read_record(info, "it")
    except InputError as error:
        return error.why
    if DIGEST in record and record[DIGEST] != _digest({k: v for k, v in record.items() if k != DIGEST}):
        return "its parity record was changed after it was written"
    if record.get("status") not in (PARITY_PASSED, PARITY_FAILED, PARITY_SKIPPED):
        return f"its parity record has the unknown status {record.get('status')!r}"
    if record["status"] == PARITY_FAILED:
        return f"it is marked: its export failed the parity check: {record.get('reason', '')}"
    return "" if record["status"] == PARITY_SKIPPED else _contradiction(record, info.precision)


def _contradiction(record: Mapping[str, Any], precision: str) -> str:
    """What a record that says `passed` holds against itself."""
    try:
        figures = fit(record, _Figures)
    except ValueError as error:
        return f"its parity record says passed without its figures: {error}"
    if figures.tolerance != TOLERANCES[precision]:
        return f"its parity record was compared with other limits than those of {precision}"
    if not figures.batches or not all(one.within(figures.tolerance) for one in figures.batches):
        return "its parity record says passed, and its figures are beyond the limits"
    return ""


class _Figures(msgspec.Struct):
    """What a record of a comparison holds at least."""

    tolerance: Tolerance
    batches: tuple[Agreement, ...]


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
