"""Training: the paper's recipe on any of the published data formats, resumable to the bit.

Names are loaded on first use, so that settings can be read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vmexport.train.recipe import Recipe
from vmexport.train.request import EpochRecord, TrainingRequest, TrainReport

if TYPE_CHECKING:
    from vmexport.train.interrupt import Interrupted
    from vmexport.train.run import train_model

__all__ = ["EpochRecord", "Interrupted", "Recipe", "TrainReport", "TrainingRequest", "train_model"]

_HOMES = {"Interrupted": "vmexport.train.interrupt", "train_model": "vmexport.train.run"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vmexport.train' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
