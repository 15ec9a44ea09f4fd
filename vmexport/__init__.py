"""Export VideoMamba to ONNX and TensorRT with a native selective scan, proven to compute the same function.

Every public name is loaded on first use, so that `import vmexport` needs neither torch nor ONNX Runtime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vmexport.package import VERSION

if TYPE_CHECKING:
    from vmexport import ops
    from vmexport.bench.measure import benchmark
    from vmexport.check import check_parity
    from vmexport.doctor.self_test import self_test
    from vmexport.eval import EvaluationRequest, delta_maps, evaluate
    from vmexport.eval.ablation import ablate
    from vmexport.export import export_onnx
    from vmexport.export.trt import build_engine
    from vmexport.model import create_model, load_checkpoint
    from vmexport.native.build import build_plugins
    from vmexport.native.loading import locate_plugins
    from vmexport.runtime import open_runner
    from vmexport.runtime.predict import predict
    from vmexport.train import TrainingRequest
    from vmexport.train.run import train_model

__all__ = [
    "EvaluationRequest",
    "TrainingRequest",
    "__version__",
    "ablate",
    "benchmark",
    "build_engine",
    "build_plugins",
    "check_parity",
    "create_model",
    "delta_maps",
    "evaluate",
    "export_onnx",
    "load_checkpoint",
    "locate_plugins",
    "open_runner",
    "ops",
    "predict",
    "self_test",
    "train_model",
]

_HOMES = {
    "EvaluationRequest": "vmexport.eval",
    "TrainingRequest": "vmexport.train",
    "ablate": "vmexport.eval.ablation",
    "benchmark": "vmexport.bench.measure",
    "build_engine": "vmexport.export.trt",
    "build_plugins": "vmexport.native.build",
    "check_parity": "vmexport.check",
    "create_model": "vmexport.model",
    "delta_maps": "vmexport.eval",
    "evaluate": "vmexport.eval",
    "export_onnx": "vmexport.export",
    "load_checkpoint": "vmexport.model",
    "locate_plugins": "vmexport.native.loading",
    "open_runner": "vmexport.runtime",
    "predict": "vmexport.runtime.predict",
    "self_test": "vmexport.doctor.self_test",
    "train_model": "vmexport.train.run",
}


__version__ = VERSION


def __getattr__(name: str) -> Any:
    if name == "ops":
        return importlib.import_module("vmexport.ops")
    if name not in _HOMES:
        raise AttributeError(f"module 'vmexport' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
