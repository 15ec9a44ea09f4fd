"""The backends of a benchmark while it runs: opened, compared, then timed in turns."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vmexport.bench.process import Opened, Worker
from vmexport.bench.report import FAILED, SKIPPED, BackendResult
from vmexport.bench.subject import Subject
from vmexport.config.progress import Say
from vmexport.errors import EnvironmentProblem, InputError, ParityError, VmexportError
from vmexport.runtime.tolerance import TOLERANCES, Agreement, coarser, compare_logits

BACKENDS: Mapping[str, str] = {
    "torch": "PyTorch eager",
    "ort": "ONNX Runtime + operator library",
    "ort-body": "ONNX Runtime + function body",
    "trt": "TensorRT engine",
    "trt-graph": "TensorRT engine, CUDA graph",
}
"""Backends in the order of the table; the first one that runs is the reference for parity."""
ENGINE_BACKENDS = ("trt", "trt-graph")

MINIMUM_RUNS = 5
BURST_SECONDS = 0.5
"""Time of a backend's turn: long enough to settle, short enough that all rows see the same machine."""


@dataclass
class Row:
    """A backend under measurement.

    Attributes:
        worker: its process.
        opened: what the process said of it, with its logits.
        agreement: with the reference.
        reason: why it failed, or a remark.
        failed: whether it differs from the reference.
        seconds: wall times of single calls.
        device_seconds: of the GPU's work in them, for an engine.
    """

    worker: Worker
    opened: Opened
    agreement: Agreement | None = None
    reason: str = ""
    failed: bool = False
    seconds: list[float] = field(default_factory=list)
    device_seconds: list[float] = field(default_factory=list)


def open_rows(
    what: Subject,
    folder: Path,
    backends: Sequence[str],
    threads: int,
    stack: contextlib.ExitStack,
    say: Say,
) -> tuple[dict[str, Row], dict[str, BackendResult]]:
    """Start every backend that this machine has; the others become rows without numbers.

    An engine that was asked for comes first: nobody waits for the others to learn that it does not run.

    Raises:
        VmexportError: none runs, or one that was asked for by a file's name does not.
    """
    rows: dict[str, Row] = {}
    lacking: dict[str, BackendResult] = {}
    problems: list[VmexportError] = []
    for name in sorted(backends, key=lambda name: not (what.engine_named and name in ENGINE_BACKENDS)):
        say(f"opening {BACKENDS[name]}")
        file = what.file_for(name)
        if file is None:
            lacking[name] = BackendResult(
                name, BACKENDS[name], SKIPPED, f"there is no file for it ({what.name})"
            )
            continue
        worker = stack.enter_context(Worker(name))
        try:
            opened = worker.open(file, folder / "clips.npy", folder / f"{name}.npy", threads)
        except (EnvironmentProblem, InputError, ParityError) as error:
            if not _may_lack(error, name, what):
                raise
            problems.append(error)
            status = FAILED if isinstance(error, ParityError) else SKIPPED
            told = f"{error.what}: {error.why} (fix: {error.fix})"
            lacking[name] = BackendResult(name, BACKENDS[name], status, told)
            continue
        rows[name] = Row(worker, opened, reason="; ".join(opened.remarks))
    if not rows and problems:
        raise problems[0]
    return {name: rows[name] for name in backends if name in rows}, lacking


def _may_lack(error: VmexportError, name: str, what: Subject) -> bool:
    """Whether the benchmark goes on without a backend."""
    if (
        name in ENGINE_BACKENDS
    ):  # an engine that only happens to lie there may be unfit for this machine or batch
        return not what.engine_named
    if isinstance(error, EnvironmentProblem):
        return True
    return isinstance(error, InputError) and name == "torch" and what.checkpoint is None


def judge(rows: dict[str, Row]) -> str:
    """Compare every backend with the first one; mark those that differ. Returns the reference's name."""
    names = list(rows)
    if not names:
        return ""
    reference = rows[names[0]]
    if not np.isfinite(reference.opened.logits).all():
        reference.failed, reference.reason = True, "NaN or infinite logits"
    if len(names) == 1 or all(name in ENGINE_BACKENDS for name in names):
        reference.reason = reference.reason or "no second backend to compare with"
    if len(names) == 1:
        return ""
    for name in names[1:]:
        _compare(reference, rows[name])
    return names[0]


def _compare(reference: Row, row: Row) -> None:
    """Compare a backend's logits with the reference's, by the tolerance of the less precise of both."""
    tolerance = TOLERANCES[coarser(reference.opened.precision, row.opened.precision)]
    try:
        row.agreement = compare_logits(reference.opened.logits, row.opened.logits)
    except ParityError as error:  # another number of classes: another model
        row.failed, row.reason = True, f"{error.what}: {error.why}"
        return
    if not row.agreement.within(tolerance):
        row.failed = True
        row.reason = (
            f"max difference {row.agreement.max_abs:.3g}, cosine {row.agreement.cosine:.7f}; "
            f"expected at most {tolerance.relative:g} relative and cosine of at least {tolerance.cosine}"
        )


def time_in_turns(rows: list[Row], runs: int | None, seconds: float, say: Say) -> None:
    """Give the backends turns of about half a second, in rotating order, until each has its share."""
    for row in rows:
        row.worker.time(1)  # warm-up besides the call that gave the logits
    rounds = 0
    while waiting := [row for row in rows if not _done(row, runs, seconds)]:
        rounds += 1
        say(f"timing, round {rounds}")
        first = rounds % len(waiting)
        for row in waiting[first:] + waiting[:first]:
            wall, device = row.worker.time(_burst(row, runs))
            row.seconds += wall
            row.device_seconds += device


def _done(row: Row, runs: int | None, seconds: float) -> bool:
    """Whether a backend has its share of runs."""
    if runs is not None:
        return len(row.seconds) >= runs
    return len(row.seconds) >= MINIMUM_RUNS and sum(row.seconds) >= seconds


def _burst(row: Row, runs: int | None) -> int:
    """Calls of the next turn."""
    typical = float(np.median(row.seconds)) if row.seconds else BURST_SECONDS
    calls = max(1, math.ceil(BURST_SECONDS / max(typical, 1e-6)))
    return calls if runs is None else min(calls, runs - len(row.seconds))
