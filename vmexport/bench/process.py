"""The controlling side of `vmexport.bench.worker`."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vmexport.config.threads import python_environment
from vmexport.errors import (
    BuildError,
    EnvironmentProblem,
    ExitCode,
    InputError,
    OutOfMemory,
    ParityError,
    VmexportError,
)
from vmexport.runtime.runner import Array


@dataclass(frozen=True)
class Opened:
    """What a backend says of itself once it is open.

    Attributes:
        description: what computes, with its version.
        logits: `(B, classes)` float32 on the clips that will be timed.
        precision: of the weights and activations.
        remarks: what may slow it down.
    """

    description: str
    logits: Array
    precision: str = "fp32"
    remarks: tuple[str, ...] = ()


_ERRORS: dict[int, type[VmexportError]] = {
    ExitCode.ENVIRONMENT: EnvironmentProblem,
    ExitCode.BAD_INPUT: InputError,
    ExitCode.PARITY_FAILED: ParityError,
    ExitCode.OUT_OF_MEMORY: OutOfMemory,
}


class Worker:
    """One backend in its own process; a context manager, so that no process outlives an interruption."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vmexport.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=python_environment(),
            start_new_session=True,  # Ctrl-C reaches the controller only, which then ends the workers
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kind is not None:
            process.kill()
        with contextlib.suppress(OSError):
            process.communicate()

    def open(self, model: Path, clips: Path, logits: Path, threads: int) -> Opened:
        """Load the model and run it once.

        Args:
            model: file to load.
            clips: `.npy` file with the clips `(B, 3, T, H, W)` that will be timed.
            logits: `.npy` file to write.
            threads: CPU threads.

        Returns:
            what the backend is, with its logits on the clips.

        Raises:
            VmexportError: what the worker raised.
        """
        answer = self._ask(
            do="open",
            backend=self.backend,
            model=str(model),
            clips=str(clips),
            logits=str(logits),
            threads=threads,
        )
        return Opened(
            description=str(answer["description"]),
            logits=np.load(logits),
            precision=str(answer["precision"]),
            remarks=tuple(str(remark) for remark in answer["remarks"]),
        )

    def time(self, calls: int) -> tuple[list[float], list[float]]:
        """Wall seconds of some further calls; and of the GPU's work alone in as many more, for an engine."""
        answer = self._ask(do="time", calls=calls)
        return [float(value) for value in answer["seconds"]], [
            float(value) for value in answer["device_seconds"]
        ]

    def peak_memory_bytes(self) -> tuple[int, int]:
        """Largest resident memory of the worker so far, and memory of the GPU that its engine takes."""
        answer = self._ask(do="peak")
        return int(answer["peak_memory_bytes"]), int(answer["device_memory_bytes"])

    def _ask(self, **order: Any) -> dict[str, Any]:
        """Send an order and wait for its answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(order), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _ERRORS.get(answer["code"], BuildError)(*answer["error"])
        return answer

    def _died(self) -> VmexportError:
        """The error for a worker that is gone without an answer."""
        assert self._process is not None
        status = self._process.wait()
        if status == -9:
            return OutOfMemory(
                f"the process of backend {self.backend} was killed",
                "most likely the system ran out of memory (signal 9)",
                "use a smaller --batch",
            )
        return BuildError(
            f"the process of backend {self.backend} ended without an answer",
            f"exit status {status}; its messages stand above",
            "vmexport doctor",
        )
