"""Evaluation: accuracy over test views, frame orders (paper section 5.2), ablations, maps of delta.

Names are loaded on first use, since some of them need torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vmexport.eval.reorder import REORDERINGS, reordering

if TYPE_CHECKING:
    from vmexport.eval.evaluation import EvaluationRequest, evaluate
    from vmexport.eval.report import EvaluationReport
    from vmexport.eval.step_sizes import DeltaMaps, delta_maps

__all__ = [
    "REORDERINGS",
    "DeltaMaps",
    "EvaluationReport",
    "EvaluationRequest",
    "delta_maps",
    "evaluate",
    "reordering",
]

_HOMES = {
    "DeltaMaps": "vmexport.eval.step_sizes",
    "EvaluationReport": "vmexport.eval.report",
    "EvaluationRequest": "vmexport.eval.evaluation",
    "delta_maps": "vmexport.eval.step_sizes",
    "evaluate": "vmexport.eval.evaluation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vmexport.eval' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
