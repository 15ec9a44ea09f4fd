"""What a benchmark returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vmexport.config.flops import Cost
from vmexport.config.names import WRITE_ENGINE
from vmexport.doctor.environment import Environment
from vmexport.errors import ParityError
from vmexport.runtime.tolerance import Agreement

MEASURED, FAILED, SKIPPED = "measured", "parity failed", "skipped"


@dataclass(frozen=True)
class Latency:
    """Wall times of single calls, milliseconds.

    Attributes:
        median_ms: half of the calls were faster.
        p90_ms: 90 of 100 were faster.
        p99_ms: 99 of 100 were faster; with fewer than 100 runs, close to the slowest call.
        fastest_ms: the fastest call.
        runs: number of timed calls.
    """

    median_ms: float
    p90_ms: float
    p99_ms: float
    fastest_ms: float
    runs: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Summarise single wall times given in seconds."""
        median, p90, p99 = (float(value) * 1e3 for value in np.percentile(seconds, (50, 90, 99)))
        return cls(median, p90, p99, min(seconds) * 1e3, len(seconds))


@dataclass(frozen=True)
class BackendResult:
    """One row: a backend that was measured, or why it was not. A row that failed parity has no numbers.

    Attributes:
        backend: one of `vmexport.bench.rows.BACKENDS`.
        description: what computed, with its version.
        status: `MEASURED`, `FAILED` or `SKIPPED`.
        reason: why it failed or was skipped; for a measured row, a remark or nothing.
        agreement: its logits against the reference's on the clips that were timed; None for the reference.
        latency: of one call of the whole batch.
        clips_per_s: clips a second at the median.
        gmacs_per_s: 1e9 MACs (`Cost.linear_macs`) a second at the median.
        peak_memory_bytes: largest resident memory of the backend's own process, loading included; 0 unknown.
        device: of an engine, from launch to end of the GPU's work: a call without its checks and copies.
        device_memory_bytes: of an engine, memory of the GPU that it takes; 0 elsewhere.
    """

    backend: str
    description: str
    status: str
    reason: str = ""
    agreement: Agreement | None = None
    latency: Latency | None = None
    clips_per_s: float = 0.0
    gmacs_per_s: float = 0.0
    peak_memory_bytes: int = 0
    device: Latency | None = None
    device_memory_bytes: int = 0


@dataclass(frozen=True)
class BenchmarkReport:
    """A whole benchmark.

    Attributes:
        model: what was measured, in words.
        precision: "fp32" or "fp16"; the PyTorch row always computes in float32.
        batch: clips of one call.
        clip_shape: `(3, T, H, W)`.
        threads: CPU threads of each backend.
        cost: cost on paper of one call, the whole batch.
        reference: backend whose logits the others were compared with; empty where there was only one.
        results: one row a backend.
        environment: machine, versions, commit.
    """

    model: str
    precision: str
    batch: int
    clip_shape: tuple[int, ...]
    threads: int
    cost: Cost
    reference: str
    results: tuple[BackendResult, ...]
    environment: Environment

    @property
    def passed(self) -> bool:
        """Whether no backend failed parity."""
        return all(result.status != FAILED for result in self.results)

    def require(self) -> None:
        """Raise where a backend failed parity.

        Raises:
            ParityError: with the first row that failed.
        """
        bad = next((result for result in self.results if result.status == FAILED), None)
        if bad is not None:
            fix = "find the first block that differs: vmexport check A B --bisect"
            if bad.backend.startswith("trt"):
                fix = f"build the engine again: {WRITE_ENGINE}"
            raise ParityError(
                f"{bad.description} does not compute the same as {self.reference}", bad.reason, fix
            )
