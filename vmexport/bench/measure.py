"""`benchmark`: the same model on every backend of this machine, correct first, then timed in turns."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vmexport.bench.report import FAILED, MEASURED, BackendResult, BenchmarkReport, Latency
from vmexport.bench.rows import BACKENDS, Row, judge, open_rows, time_in_turns
from vmexport.bench.subject import subject
from vmexport.config.flops import Cost, count
from vmexport.config.progress import Say
from vmexport.config.threads import usable_cores
from vmexport.doctor.environment import environment
from vmexport.errors import UsageError
from vmexport.runtime.compare import random_clips
from vmexport.runtime.runner import Array, check_clips

DEFAULT_SECONDS = 10.0


def benchmark(
    model: Any = None,
    *,
    engine: Path | str | None = None,
    batch: int = 1,
    backends: Sequence[str] | None = None,
    runs: int | None = None,
    seconds: float = DEFAULT_SECONDS,
    threads: int = 0,
    clips: Array | None = None,
    progress: Say | None = None,
    **overrides: Any,
) -> BenchmarkReport:
    """Measure one model on several backends in turns, after they agreed on the very clips that are timed.

    Args:
        model: a `VideoMamba`, an `.onnx` file, a checkpoint, a preset's name, or None for `model.onnx` or
            `model.safetensors` of the working directory, else the default preset. An engine's reference is
            the `.onnx` or `.safetensors` file of its name beside it.
        engine: a TensorRT engine of the same weights; without a model, `model.engine` is one where it is.
        batch: clips of one call.
        backends: some of `BACKENDS`; by default those that there are files for.
        runs: timed calls of each backend; None: as many as fit into `seconds`, at least 5.
        seconds: time of each backend.
        threads: CPU threads of each backend; 0 stands for the cores this process may use.
        clips: `(batch, 3, T, H, W)` float32, normalised; by default seeded noise.
        progress: called with a few words at the start of each step.
        **overrides: settings such as `frames` or `size`, for a preset or a checkpoint.

    Returns:
        the report. Rows that differ from the reference carry no numbers; `report.require()` raises for them.

    Raises:
        UsageError: an unknown backend, a number out of range, or overrides for an `.onnx` file or engine.
        InputError: the model, the engine that was named or the clips cannot be used.
        EnvironmentProblem: no backend, or not the engine that was named, runs on this machine.
        ParityError: the engine that was named is marked as failed.
    """
    _check_request(batch, backends, runs, seconds, threads)
    say = progress or (lambda _: None)
    threads = threads or usable_cores()
    with tempfile.TemporaryDirectory(prefix="vmexport-bench-") as folder, contextlib.ExitStack() as stack:
        what = subject(model, engine, Path(folder), batch, overrides, say)
        names = what.backends(BACKENDS) if backends is None else tuple(backends)
        if clips is None:
            clips = random_clips(what.info.architecture, batch)
        check_clips(clips, what.info, what.name, rebuild=what.rebuild)
        np.save(Path(folder) / "clips.npy", clips)
        rows, lacking = open_rows(what, Path(folder), names, threads, stack, say)
        reference = judge(rows)
        time_in_turns([row for row in rows.values() if not row.failed], runs, seconds, say)
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
        results=tuple(measured.get(name) or lacking[name] for name in names),
        environment=environment(),
    )


def _check_request(
    batch: int, backends: Sequence[str] | None, runs: int | None, seconds: float, threads: int
) -> None:
    """Refuse what can be refused before any work."""
    unknown = [name for name in backends or () if name not in BACKENDS]
    if unknown or (backends is not None and not backends):
        raise UsageError(
            f"unknown backend: {', '.join(unknown) or 'none'}", f"expected some of {', '.join(BACKENDS)}"
        )
    if batch < 1 or threads < 0 or (runs is not None and runs < 1) or not 0 < seconds < math.inf:
        raise UsageError(
            "batch, runs and seconds must be positive", f"got batch {batch}, runs {runs}, seconds {seconds}"
        )


def _result(name: str, row: Row, batch: int, cost: Cost) -> BackendResult:
    """A finished row; one that failed parity shows no numbers."""
    description = row.opened.description
    if row.failed:
        return BackendResult(name, description, FAILED, row.reason, row.agreement)
    latency = Latency.of(row.seconds)
    host, device = row.worker.peak_memory_bytes()
    return BackendResult(
        backend=name,
        description=description,
        status=MEASURED,
        reason=row.reason,
        agreement=row.agreement,
        latency=latency,
        clips_per_s=batch / latency.median_ms * 1e3,
        gmacs_per_s=cost.linear_macs / latency.median_ms / 1e6,
        peak_memory_bytes=host,
        device=Latency.of(row.device_seconds) if row.device_seconds else None,
        device_memory_bytes=device,
    )
