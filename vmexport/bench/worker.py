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
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from vmexport.errors import ExitCode, VmexportError
from vmexport.runtime.runner import Array

Call = Callable[[Array], Array]


def open_backend(backend: str, model: Path, threads: int) -> tuple[Call, str]:
    """Open a model on one backend for the rest of this process.

    Args:
        backend: "torch", "ort" (operator library) or "ort-body" (function body).
        model: an `.onnx` file, or for "torch" also a checkpoint.
        threads: CPU threads.

    Returns:
        a function of clips, and a description.
    """
    from vmexport.runtime import open_runner

    if backend == "torch":
        return _open_torch(model, threads)
    runner = open_runner(model, library="require" if backend == "ort" else "off", threads=threads)
    runner.__enter__()  # closed by the end of the process
    return runner, runner.description


def _open_torch(model: Path, threads: int) -> tuple[Call, str]:
    """PyTorch eager on the frozen network, from a checkpoint or out of an `.onnx` file."""
    import torch

    from vmexport.export.weights import frozen_network
    from vmexport.model import freeze, load_checkpoint
    from vmexport.ops.libraries import SCAN_LIBRARY
    from vmexport.ops.loading import library_path

    torch.set_num_threads(threads)
    frozen = frozen_network(model) if model.suffix == ".onnx" else freeze(load_checkpoint(model))
    operator = "native operator" if library_path(SCAN_LIBRARY) else "operator in PyTorch"

    def call(clips: Array) -> Array:
        with torch.inference_mode():
            logits: Array = frozen(torch.from_numpy(clips)).numpy()
        return logits

    return call, f"PyTorch {torch.__version__.split('+')[0]} eager, {operator}"


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
    call: Call | None = None
    clips = np.zeros(0, np.float32)
    for line in orders:
        order = json.loads(line)
        try:
            if order["do"] == "open":
                clips = np.load(order["clips"])
                call, description = open_backend(order["backend"], Path(order["model"]), order["threads"])
                np.save(order["logits"], call(clips))
                answer: dict[str, Any] = {"description": description}
            elif order["do"] == "time":
                assert call is not None
                answer = {"seconds": [_time(call, clips) for _ in range(order["calls"])]}
            else:
                answer = {"peak_memory_bytes": peak_memory_bytes()}
        except VmexportError as error:
            answer = {"error": [error.what, error.why, error.fix], "code": int(error.exit_code)}
        except MemoryError:
            answer = {
                "error": ["memory ran out", "", "use a smaller --batch"],
                "code": int(ExitCode.OUT_OF_MEMORY),
            }
        print(json.dumps(answer), file=answers, flush=True)


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
