"""Engines of TensorRT and TensorRT-RTX, built from our operators; out of an `.onnx` file without torch."""

from vmexport.export.trt.engine import build_engine
from vmexport.export.trt.report import EngineReport
from vmexport.export.trt.settings import EngineRequest

__all__ = ["EngineReport", "EngineRequest", "build_engine"]
