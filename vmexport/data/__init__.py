"""Video data sets: published formats, clips for training and evaluation, and a motion data set made here.

Names are loaded on first use: only the training clips need torch, only what decodes needs PyAV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vmexport.data.index import Sample, VideoIndex
from vmexport.data.opening import open_index, open_parts
from vmexport.data.sampling import Cropping
from vmexport.data.write import IndexReport, write_index

if TYPE_CHECKING:
    from vmexport.data.check import BadFile, DataReport, check_data
    from vmexport.data.clips import Replaced, TrainingClips
    from vmexport.data.synth import SynthReport, SynthSettings, synthesize
    from vmexport.data.views import EvaluationClips, VideoViews

__all__ = [
    "BadFile",
    "Cropping",
    "DataReport",
    "EvaluationClips",
    "IndexReport",
    "Replaced",
    "Sample",
    "SynthReport",
    "SynthSettings",
    "TrainingClips",
    "VideoIndex",
    "VideoViews",
    "check_data",
    "open_index",
    "open_parts",
    "synthesize",
    "write_index",
]

_HOMES = {
    "BadFile": "vmexport.data.check",
    "DataReport": "vmexport.data.check",
    "EvaluationClips": "vmexport.data.views",
    "Replaced": "vmexport.data.clips",
    "SynthReport": "vmexport.data.synth",
    "SynthSettings": "vmexport.data.synth",
    "TrainingClips": "vmexport.data.clips",
    "VideoViews": "vmexport.data.views",
    "check_data": "vmexport.data.check",
    "synthesize": "vmexport.data.synth",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vmexport.data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
