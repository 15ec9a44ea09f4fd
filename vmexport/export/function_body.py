"""ONNX functions of standard operators for our two operators: what a runtime without the library runs."""

from vmexport.export.functions.conv import causal_conv1d_function
from vmexport.export.functions.scan import selective_scan_function

__all__ = ["causal_conv1d_function", "selective_scan_function"]
