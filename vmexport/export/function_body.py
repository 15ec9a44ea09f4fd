"""ONNX functions of standard operators for our two operators: what a runtime without the library runs."""

from vmexport.export.functions.conv import causal_conv1d_function
from vmexport.export.functions.scan import selective_scan_function
from vmexport.export.functions.two_level import chunk_tokens, two_level_scan_function

__all__ = ["causal_conv1d_function", "chunk_tokens", "selective_scan_function", "two_level_scan_function"]
