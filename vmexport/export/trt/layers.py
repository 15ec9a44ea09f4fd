"""The time of every layer of an engine, through TensorRT's `IProfiler`."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmexport.runtime.compare import random_clips
from vmexport.runtime.tensorrt.cudart import Cuda
from vmexport.runtime.tensorrt.engine import load_engine
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.memory import Resources
from vmexport.runtime.tensorrt.session import EngineSession
from vmexport.runtime.tensorrt.sidecar import read_engine

WARM_UP, RUNS = 3, 20


@dataclass(frozen=True)
class LayerTime:
    """One layer.

    Attributes:
        name: TensorRT's name; fused layers join theirs.
        ms: median time, milliseconds.
        share: of the sum of all layers, 0 to 1.
    """

    name: str
    ms: float
    share: float


def layer_times(trt: TensorRT, path: Path) -> tuple[LayerTime, ...]:
    """Time the layers of an engine of this machine at its preferred batch, in the order in which they run.

    The sum is more than the engine's latency: the GPU waits after every layer.

    Args:
        trt: the library that built it.
        path: the engine, its sidecar beside it; the plugin is loaded already.

    Raises:
        OutOfMemory: the GPU's memory does not suffice.
        BuildError, EnvironmentProblem: the engine does not run.
    """
    info, content = read_engine(path)
    resources = Resources(Cuda())
    try:
        session = EngineSession(
            load_engine(trt, content, info, str(path)), info.model, resources, False, str(path)
        )
        clips = random_clips(info.model.architecture, info.model.profile.optimum)
        for _ in range(WARM_UP):
            session.run(clips)
        profiler = _new_profiler(trt)
        session.profile(profiler)
        for _ in range(RUNS):
            session.run(clips)
        return _summary(profiler.times)
    finally:
        resources.close()


def _new_profiler(trt: TensorRT) -> Any:
    """An `IProfiler` that collects times by layer."""

    class Profiler(trt.module.IProfiler):  # type: ignore[name-defined,misc]
        """Called for every layer of every run."""

        def __init__(self) -> None:
            trt.module.IProfiler.__init__(self)
            self.times: dict[str, list[float]] = defaultdict(list)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.times[layer_name].append(ms)

    return Profiler()


def _summary(times: dict[str, list[float]]) -> tuple[LayerTime, ...]:
    """Medians and shares."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    total = sum(medians.values()) or 1.0
    return tuple(LayerTime(name, ms, ms / total) for name, ms in medians.items())
