"""Whether an engine that lies there already is the one that would be built."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from vmexport.errors import InputError
from vmexport.export.prepare import Prepared
from vmexport.export.trt.proof import ENGINE, NOTHING, ONNX_FILE
from vmexport.export.trt.settings import EngineSettings
from vmexport.export.trt.target import Target
from vmexport.package import VERSION
from vmexport.runtime.onnx_runner import PARITY_FAILED
from vmexport.runtime.tensorrt.library import TensorRT
from vmexport.runtime.tensorrt.sidecar import EngineInfo, read_engine

RECIPE_ENTRY = "recipe"
"""Key in the sidecar's `ModelInfo.extra` of the digest of all that an engine was made from."""


def recipe_of(prepared: Prepared, trt: TensorRT, target: Target, settings: EngineSettings) -> str:
    """Digest of the graph, the library, the GPU and the settings that shape an engine, hexadecimal."""
    gpu = target.gpu
    shaping = {
        "vmexport": VERSION,
        "trt": trt.name,
        "capabilities": target.capabilities,
        "gpu": gpu.name if gpu and trt.features.plugins else "",
        "cuda": gpu.cuda_driver if gpu and trt.features.plugins else "",
        "workspace": settings.workspace,
        "opt_level": settings.opt_level,
        "hardware_compatibility": settings.hardware_compatibility,
        "version_compatible": settings.version_compatible,
        "embed_plugin": settings.embed_plugin,
        "profile": str(prepared.info.profile),
    }
    digest = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode())
    digest.update(prepared.model.SerializeToString(deterministic=True))
    return digest.hexdigest()


def up_to_date(path: Path, recipe: str, settings: EngineSettings, target: Target) -> EngineInfo | None:
    """The sidecar of an engine that need not be built again, or None.

    One that failed its comparison is built again, and so is one that was never compared as well as it can be
    now, if a comparison is wanted.
    """
    try:
        info, _ = read_engine(path)
    except InputError:
        return None
    if info.model.extra.get(RECIPE_ENTRY) != recipe or info.parity.get("status") == PARITY_FAILED:
        return None
    if not settings.check:
        return info
    best = ENGINE if target.runs_here else NOTHING if info.model.precision == "bf16" else ONNX_FILE
    return info if info.parity.get("proven") in (ENGINE, best) else None
