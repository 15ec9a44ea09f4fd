"""What a build of an engine tells its caller."""

from __future__ import annotations

from dataclasses import dataclass

from vmexport.export.trt.layers import LayerTime
from vmexport.runtime.compare import ParityReport
from vmexport.runtime.tensorrt.sidecar import EngineInfo


@dataclass(frozen=True)
class EngineReport:
    """A finished build.

    Attributes:
        path: the engine; its sidecar is `<path>.json`.
        size_bytes: of the engine.
        runtime: library and version that built it.
        compute_capabilities: GPUs that it is for.
        gpu: name of the GPU that it was built on; empty where it was built ahead of time.
        precision: "fp32", "fp16" or "bf16".
        profile: batches served, `1` or `1:4:8`.
        plugin: whether the plugin computes the scans; otherwise function bodies do.
        workspace_bytes: most scratch space of a kernel; None: not bounded.
        timing_cache: its file; None where it is off.
        timing_cache_reused: whether the build started from it.
        proven: what was compared with PyTorch: "engine", "onnx" (the file it was built from) or "nothing".
        parity: the comparison, or None.
        layers: time of every layer, in running order; empty where not asked for.
        notes: remarks for the user.
        up_to_date: whether the engine was there already, made from the same graph and settings.
        build_seconds: TensorRT's part, 0 where nothing was built.
        seconds: wall time of everything.
    """

    path: str
    size_bytes: int
    runtime: str
    compute_capabilities: tuple[str, ...]
    gpu: str
    precision: str
    profile: str
    plugin: bool
    workspace_bytes: int | None
    timing_cache: str | None
    timing_cache_reused: bool
    proven: str
    parity: ParityReport | None
    layers: tuple[LayerTime, ...]
    notes: tuple[str, ...]
    up_to_date: bool
    build_seconds: float
    seconds: float


def describe(info: EngineInfo) -> dict[str, object]:
    """The part of a report that the sidecar knows."""
    return {
        "size_bytes": info.size_bytes,
        "compute_capabilities": info.compute_capabilities,
        "gpu": info.gpu,
        "precision": info.model.precision,
        "profile": str(info.model.profile),
        "plugin": info.plugin is not None,
        "proven": str(info.parity.get("proven", "nothing")),
    }
