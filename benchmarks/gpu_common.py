"""What the GPU benchmarks share: the device and its name for files, timing by CUDA events, parity."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor

DTYPES = {"fp16": torch.float16, "fp32": torch.float32}
NOISE = {"nvidia", "geforce", "tesla", "jetson", "generation", "graphics", "gpu", "laptop", "pcie", "nvgpu"}
"""Words of a device's name that do not tell it from another."""
MEMORY = re.compile(r"\d+g(i?b)?|hbm\d\w*|sxm\d?")
WARM_UP, ROUNDS = 3, 21
QUERY = "driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.limit,temperature.gpu"


def require_gpu() -> torch.device:
    """The first GPU; ends the program with exit status 3 where there is none."""
    if not torch.cuda.is_available():
        built = torch.version.cuda
        why = "this PyTorch was built without CUDA" if built is None else "no NVIDIA driver or no GPU"
        fix = "run this on a machine with an NVIDIA GPU, where nvidia-smi lists it"
        print(f"this benchmark needs a GPU\nwhy: {why}\nfix: {fix}", file=sys.stderr)
        raise SystemExit(3)
    return torch.device("cuda", torch.cuda.current_device())


def short_name(device_name: str) -> str:
    """Prefix of result files: "h200" for "NVIDIA H200", "rtx-4090" for "NVIDIA GeForce RTX 4090"."""
    words = re.split(r"[^a-z0-9]+", device_name.lower())
    kept = [word for word in words if word and word not in NOISE and not MEMORY.fullmatch(word)]
    return "-".join(kept) or "gpu"


def gpu_environment(device: torch.device) -> dict[str, Any]:
    """GPU, driver, CUDA, torch and clocks, as they are at this moment."""
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_bytes": properties.total_memory,
        "l2_bytes": properties.L2_cache_size,
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "nvcc": _output("nvcc", "--version").rsplit("release ", 1)[-1].split(",")[0],
        **nvidia_smi(),
    }


def nvidia_smi() -> dict[str, str]:
    """Driver, clocks, power limit and temperature; empty where nvidia-smi is missing."""
    text = _output("nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader", "--id=0")
    values = [value.strip() for value in text.split(",")]
    names = QUERY.split(",")
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else {}


def _output(*command: str) -> str:
    """What a program prints, empty where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def copies_beyond_cache(bytes_each: int, cache_bytes: int) -> int:
    """Sets of inputs to rotate through, so that none is still in the cache when its turn comes again."""
    return max(2, math.ceil(2 * cache_bytes / max(1, bytes_each)) + 1)


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Relative L2 error; infinite for NaN."""
    wide = expected.double()
    error = float(torch.linalg.vector_norm(found.double() - wide) / torch.linalg.vector_norm(wide))
    return error if math.isfinite(error) else math.inf


def captured(calls: Sequence[Callable[[], Any]]) -> Callable[[], None]:
    """All calls in one CUDA graph: device time without the time that Python takes to launch."""
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # lazy initialisation stays out of the capture
        for call in calls[:2]:
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return graph.replay


def in_order(calls: Sequence[Callable[[], Any]]) -> Callable[[], None]:
    """All calls one after the other, launched by Python."""

    def run() -> None:
        for call in calls:
            call()

    return run


def device_times(
    contenders: Mapping[str, Callable[[], None]], calls: int, rounds: int = ROUNDS, warm_up: int = WARM_UP
) -> dict[str, dict[str, float]]:
    """Milliseconds a call of every contender by CUDA events, in turns so that all see the same clocks.

    Args:
        contenders: functions by name that launch `calls` calls each.
        calls: what the time of one round is divided by.
        rounds: timed rounds; the median of them is reported.
        warm_up: rounds before them.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(warm_up):
        for run in contenders.values():
            run()
    torch.cuda.synchronize()
    for _ in range(rounds):
        for name, run in contenders.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            run()  # not timed: the last contender's data leave the caches
            begin.record()
            run()
            end.record()
            end.synchronize()
            times[name].append(begin.elapsed_time(end) / calls)
    return {
        name: {"median_ms": median(values), "fastest_ms": min(values), "runs": len(values)}
        for name, values in times.items()
    }
