"""What `vmexport info` says of an engine, from its sidecar alone: neither TensorRT nor a GPU is needed."""

from __future__ import annotations

from typing import Any

from vmexport.cli import render
from vmexport.runtime.tensorrt.features import flavour_name
from vmexport.runtime.tensorrt.sidecar import EngineInfo


def engine_document(engine: EngineInfo) -> dict[str, Any]:
    """The sidecar without the model, which stands beside it; the parity record as an object."""
    values = {name: value for name, value in engine.to_dict().items() if name not in ("format", "model")}
    return {**values, "parity": engine.parity}


def engine_facts(engine: EngineInfo) -> dict[str, str]:
    """What an engine was built by and where it runs, in words."""
    plugin = "none: function bodies compute"
    if engine.plugin is not None:
        where = "inside the engine" if engine.plugin.embedded else "needed to run it"
        plugin = f"vmexport {engine.plugin.version}, {where}"
    newer = " or newer" if engine.version_compatible else ""
    hardware = engine.hardware_compatibility.replace("_", " ")
    built_on = ", CUDA ".join(word for word in (engine.gpu, engine.cuda) if word)
    status, why = engine.parity.get("status", "not checked"), engine.parity.get("reason", "")
    return {
        "runs with": f"{flavour_name(engine.flavour, engine.version)}{newer}",
        "compute capability": f"{', '.join(engine.compute_capabilities)} (other GPUs: {hardware})",
        "built on": built_on or "a machine without a GPU",
        "plugin": plugin,
        "size": render.mebibytes(engine.size_bytes),
        "parity": f"{status}: {why}" if why else str(status),
    }
