"""Engines of TensorRT and TensorRT-RTX at run time. Nothing optional is imported before it is needed."""

from vmexport.runtime.tensorrt.sidecar import EngineInfo, PluginRecord, read_sidecar, write_engine

__all__ = ["EngineInfo", "PluginRecord", "read_sidecar", "write_engine"]
