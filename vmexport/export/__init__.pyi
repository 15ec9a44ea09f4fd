from .onnx import export_onnx as export_onnx
from .report import ExportReport as ExportReport
from .request import ExportRequest as ExportRequest
