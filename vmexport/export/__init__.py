"""Export: from a network to files that other runtimes execute. `export_onnx` needs torch and loads late."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vmexport.export.report import ExportReport

if TYPE_CHECKING:
    from vmexport.export.onnx import export_onnx

__all__ = ["ExportReport", "export_onnx"]


def __getattr__(name: str) -> Any:
    if name != "export_onnx":
        raise AttributeError(f"module 'vmexport.export' has no attribute {name!r}")
    return importlib.import_module("vmexport.export.onnx").export_onnx
