"""Export: from a network to files that other runtimes execute. Importing this package imports torch."""

from vmexport.export.onnx import export_onnx
from vmexport.export.report import ExportReport

__all__ = ["ExportReport", "export_onnx"]
