"""`benchmark`: the same model on every backend of this machine, correct first, then timed in turns."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vmexport.bench.environment import environment
from vmexport.bench.process import Worker
from vmexport.bench.report import FAILED, MEASURED, SKIPPED, BackendResult, BenchmarkReport, Latency
from vmexport.bench.subject import Subject, subject
from vmexport.config.threads import usable_cores
from vmexport.errors import EnvironmentProblem, InputError, UsageError
from vmexport.model.flops import Cost, count
from vmexport.runtime.agreement import TOLERANCES, Agreement, compare_logits
from vmexport.runtime.parity import random_clips
from vmexport.runtime.runner import Array, check_clips

BACKENDS: Mapping[str, str] = {
    "torch": "PyTorch eager",
    "ort": "ONNX Runtime + operator library",
    "ort-body": "ONNX Runtime + function body",
}
"""Backends in the order of the table; the first one that runs is the reference for parity."""

DEFAULT_SECONDS = 10.0
MINIMUM_RUNS = 5
BURST_SECONDS = 0.5
"""Time of a backend's turn: long enough to settle, short enough that all rows see the same machine."""


@dataclass
class _Row:
    """A backend under measurement."""

    worker: Worker
    description: str
    logits: Array
    agreement: Agreement | None = None
    reason: str = ""
    failed: bool = False
    seconds: list[float] = field(default_factory=list)


def benchmark(
    model: Any = None,
    *,
    batch: int = 1,
    backends: Sequence[str] = tuple(BACKENDS),
    runs: int | None = None,
    seconds: float = DEFAULT_SECONDS,
    threads: int = 0,
    clips: Array | None = None,
    progress: Callable[[str], None] | None = None,
    **overrides: Any,
) -> BenchmarkReport:
    """Measure one model on several backends in turns, after they agreed on the very clips that are timed.

    Args:
        model: a `VideoMamba`, an `.onnx` file, a checkpoint, a preset's name, or None for `model.onnx` or
            `model.safetensors` of the working directory, else the default preset.
        batch: clips of one call.
        backends: some of `BACKENDS`.
        runs: timed calls of each backend; None: as many as fit into `seconds`, at least 5.
        seconds: time of each backend.
        threads: CPU threads of each backend; 0 stands for the cores this process may use.
        clips: `(batch, 3, T, H, W)` float32, normalised; by default seeded noise.
        progress: called with a few words at the start of each step.
        **overrides: settings such as `frames` or `size`, for a preset or a checkpoint.

    Returns:
        the report. Rows that differ from the reference carry no numbers; `report.require()` raises for them.

    Raises:
        UsageError: an unknown backend, a number out of range, or overrides for an `.onnx` file.
        InputError: the model or the clips cannot be used.
        EnvironmentProblem: no backend runs on this machine.
    """
    _check_request(batch, backends, runs, seconds, threads)
    say = progress or (lambda _: None)
    threads = threads or usable_cores()
    with tempfile.TemporaryDirectory(prefix="vmexport-bench-") as folder, contextlib.ExitStack() as stack:
        what = subject(model, Path(folder), batch, overrides, say)
        if clips is None:
            clips = random_clips(what.info.architecture, batch)
        check_clips(clips, what.info, what.name)
        np.save(Path(folder) / "clips.npy", clips)
        rows, skipped = _open(what, Path(folder), backends, threads, stack, say)
        reference = _judge(rows, what.info.precision)
        _time_in_turns([row for row in rows.values() if not row.failed], runs, seconds, say)
        cost = count(what.info.architecture, len(clips))
        measured = {name: _result(name, row, len(clips), cost) for name, row in rows.items()}
    return BenchmarkReport(
        model=what.name,
        precision=what.info.precision,
        batch=len(clips),
        clip_shape=what.info.architecture.clip_shape,
        threads=threads,
        cost=cost,
        reference=reference,
        results=tuple(measured.get(name) or skipped[name] for name in backends),
        environment=environment(),
    )


def _check_request(
    batch: int, backends: Sequence[str], runs: int | None, seconds: float, threads: int
) -> None:
    """Refuse what can be refused before any work."""
    unknown = [name for name in backends if name not in BACKENDS]
    if unknown or not backends:
        raise UsageError(
            f"unknown backend: {', '.join(unknown) or 'none'}", f"expected some of {', '.join(BACKENDS)}"
        )
    if batch < 1 or threads < 0 or (runs is not None and runs < 1) or not 0 < seconds < math.inf:
        raise UsageError(
            "batch, runs and seconds must be positive", f"got batch {batch}, runs {runs}, seconds {seconds}"
        )


def _open(
    what: Subject,
    folder: Path,
    backends: Sequence[str],
    threads: int,
    stack: contextlib.ExitStack,
    say: Callable[[str], None],
) -> tuple[dict[str, _Row], dict[str, BackendResult]]:
    """Start every backend that this machine has; the others become skipped rows."""
    rows: dict[str, _Row] = {}
    skipped: dict[str, BackendResult] = {}
    problems: list[EnvironmentProblem] = []
    for name in backends:
        say(f"opening {BACKENDS[name]}")
        worker = stack.enter_context(Worker(name))
        model = what.checkpoint if name == "torch" and what.checkpoint else what.onnx
        try:
            description, logits = worker.open(model, folder / "clips.npy", folder / f"{name}.npy", threads)
        except EnvironmentProblem as error:
            problems.append(error)
            skipped[name] = BackendResult(name, BACKENDS[name], SKIPPED, f"{error.what} (fix: {error.fix})")
            continue
        except InputError as error:
            if name != "torch" or what.checkpoint:
                raise
            skipped[name] = BackendResult(name, BACKENDS[name], SKIPPED, f"{error.what}: {error.why}")
            continue
        rows[name] = _Row(worker, description, logits)
    if not rows and problems:
        raise problems[0]
    return rows, skipped


def _judge(rows: dict[str, _Row], precision: str) -> str:
    """Compare every backend with the first one; mark those that differ. Returns the reference's name."""
    names = list(rows)
    reference = rows[names[0]]
    if not np.isfinite(reference.logits).all():
        reference.failed, reference.reason = True, "NaN or infinite logits"
    if len(names) == 1:
        reference.reason = reference.reason or "no second backend to compare with"
        return ""
    tolerance = TOLERANCES[precision]
    for name in names[1:]:
        row = rows[name]
        row.agreement = compare_logits(reference.logits, row.logits)
        if not row.agreement.within(tolerance):
            row.failed = True
            row.reason = (
                f"max difference {row.agreement.max_abs:.3g}, cosine {row.agreement.cosine:.7f}; "
                f"expected at most {tolerance.relative:g} relative and cosine of at least {tolerance.cosine}"
            )
    return names[0]


def _time_in_turns(rows: list[_Row], runs: int | None, seconds: float, say: Callable[[str], None]) -> None:
    """Give the backends turns of about half a second, in rotating order, until each has its share."""
    for row in rows:
        row.worker.time(1)  # warm-up besides the call that gave the logits
    rounds = 0
    while waiting := [row for row in rows if not _done(row, runs, seconds)]:
        rounds += 1
        say(f"timing, round {rounds}")
        first = rounds % len(waiting)
        for row in waiting[first:] + waiting[:first]:
            row.seconds += row.worker.time(_burst(row, runs))


def _done(row: _Row, runs: int | None, seconds: float) -> bool:
    """Whether a backend has its share of runs."""
    if runs is not None:
        return len(row.seconds) >= runs
    return len(row.seconds) >= MINIMUM_RUNS and sum(row.seconds) >= seconds


def _burst(row: _Row, runs: int | None) -> int:
    """Calls of the next turn."""
    typical = float(np.median(row.seconds)) if row.seconds else BURST_SECONDS
    calls = max(1, math.ceil(BURST_SECONDS / max(typical, 1e-6)))
    return calls if runs is None else min(calls, runs - len(row.seconds))


def _result(name: str, row: _Row, batch: int, cost: Cost) -> BackendResult:
    """A finished row; one that failed parity shows no numbers."""
    if row.failed:
        return BackendResult(name, row.description, FAILED, row.reason, row.agreement)
    latency = Latency.of(row.seconds)
    return BackendResult(
        backend=name,
        description=row.description,
        status=MEASURED,
        reason=row.reason,
        agreement=row.agreement,
        latency=latency,
        clips_per_s=batch / latency.median_ms * 1e3,
        gmacs_per_s=cost.linear_macs / latency.median_ms / 1e6,
        peak_memory_bytes=row.worker.peak_memory_bytes(),
    )
