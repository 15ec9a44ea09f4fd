"""The process of one backend: `python -m vmexport.bench.worker`, orders and answers as JSON lines.

Each backend has its own process so that its peak memory is its own and no backend's threads or allocator
state disturb another's.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from vmexport.errors import ExitCode, VmexportError
from vmexport.extras import missing
from vmexport.runtime.engine_runner import EngineRunner
from vmexport.runtime.runner import Array

Call = Callable[[Array], Array]


@dataclass(frozen=True)
class Backend:
    """A model that is open.

    Attributes:
        call: a function of clips `(B, 3, T, H, W)`, which gives logits.
        describe: what computes; settled after the first call.
        precision: of the weights and activations.
        engine: the runner of an engine, or None.
    """

    call: Call
    describe: Callable[[], str]
    precision: str = "fp32"
    engine: EngineRunner | None = None


def open_backend(backend: str, model: Path, threads: int) -> Backend:
    """Open a model on one backend for the rest of this process.

    Args:
        backend: "torch", "ort" (operator library), "ort-body" (function body), "trt" or "trt-graph".
        model: an `.onnx` file or an engine, or for "torch" also a checkpoint.
        threads: CPU threads.
    """
    from vmexport.runtime import open_runner

    if backend == "torch":
        return _open_torch(model, threads)
    runner = open_runner(
        model,
        library="require" if backend == "ort" else "off",
        threads=threads,
        cuda_graph=backend == "trt-graph",
    )
    runner.__enter__()  # closed by the end of the process
    engine = runner if isinstance(runner, EngineRunner) else None
    return Backend(runner, lambda: runner.description, runner.info.precision, engine)


def _open_torch(model: Path, threads: int) -> Backend:
    """PyTorch eager on the frozen network, from a checkpoint or out of an `.onnx` file."""
    try:
        import torch
    except ModuleNotFoundError as error:  # a board that only runs exported files
        raise missing("torch", str(error), name="PyTorch") from error

    from vmexport.export.weights import frozen_network
    from vmexport.model import freeze, load_checkpoint
    from vmexport.model.float32 import full_float32
    from vmexport.native.libraries import SCAN_LIBRARY
    from vmexport.native.loading import library_path

    torch.set_num_threads(threads)
    frozen = frozen_network(model) if model.suffix == ".onnx" else freeze(load_checkpoint(model))
    operator = "native operator" if library_path(SCAN_LIBRARY) else "operator in PyTorch"

    def call(clips: Array) -> Array:
        with torch.inference_mode(), full_float32():
            logits: Array = frozen(torch.from_numpy(clips)).numpy()
        return logits

    return Backend(call, lambda: f"PyTorch {torch.__version__.split('+')[0]} eager, {operator}")


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far.

    On Linux `ru_maxrss` survives `exec`, so a child of a large parent starts with the parent's peak; `VmHWM`
    does not.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def serve(orders: TextIO, answers: TextIO) -> None:
    """Obey orders until the input ends: `open`, `time`, `peak`."""
    backend: Backend | None = None
    clips = np.zeros(0, np.float32)
    for line in orders:
        order = json.loads(line)
        try:
            answer: dict[str, Any]
            if order["do"] == "open":
                clips = np.load(order["clips"])
                backend = open_backend(order["backend"], Path(order["model"]), order["threads"])
                np.save(order["logits"], backend.call(clips))
                answer = _about(backend)
            elif order["do"] == "time":
                assert backend is not None
                answer = _times(backend, clips, order["calls"])
            else:
                held = backend.engine.device_memory_bytes() if backend and backend.engine else 0
                answer = {"peak_memory_bytes": peak_memory_bytes(), "device_memory_bytes": held}
        except VmexportError as error:
            answer = {"error": [error.what, error.why, error.fix], "code": int(error.exit_code)}
        except MemoryError:
            answer = {
                "error": ["memory ran out", "", "use a smaller --batch"],
                "code": int(ExitCode.OUT_OF_MEMORY),
            }
        print(json.dumps(answer), file=answers, flush=True)


def _about(backend: Backend) -> dict[str, Any]:
    """What is said of a backend after its first call."""
    remarks = backend.engine.remarks if backend.engine else ()
    return {"description": backend.describe(), "precision": backend.precision, "remarks": remarks}


def _times(backend: Backend, clips: Array, calls: int) -> dict[str, list[float]]:
    """Wall seconds of whole calls, and of the GPU's work alone where an engine does it."""
    seconds = [_time(backend.call, clips) for _ in range(calls)]
    device = backend.engine.device_seconds(calls) if backend.engine else []
    return {"seconds": seconds, "device_seconds": device}


def _time(call: Call, clips: Array) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    call(clips)
    return time.perf_counter() - started


def main() -> None:
    """Serve on the standard streams; whatever libraries print goes to stderr, not among the answers."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
