"""Engines of TensorRT and TensorRT-RTX, built from our operators' nodes. Importing it imports torch."""

from vmexport.export.trt.engine import build_engine
from vmexport.export.trt.report import EngineReport
from vmexport.export.trt.settings import EngineSettings

__all__ = ["EngineReport", "EngineSettings", "build_engine"]
