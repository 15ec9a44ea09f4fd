"""Half precision for a traced graph of any origin, by ONNX Runtime's own converter."""

from __future__ import annotations

import onnx

from vmexport.errors import BuildError
from vmexport.extras import missing
from vmexport.ops.schema import CAUSAL_CONV1D, SELECTIVE_SCAN

FLOAT32_OPERATORS = (
    SELECTIVE_SCAN, CAUSAL_CONV1D, "LayerNormalization", "InstanceNormalization", "Softmax",
    "ReduceMean", "Pow",
)  # fmt: skip
"""Operators that stay float32: ours, and those that sum squares or exponentials."""


def half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in half precision; its inputs, outputs and `FLOAT32_OPERATORS` stay float32.

    Raises:
        EnvironmentProblem: onnxruntime is not installed.
        BuildError: the converter failed.
    """
    try:
        from onnxruntime.transformers import float16
        from onnxruntime.transformers.onnx_model import OnnxModel
    except ImportError as error:
        raise missing("onnxruntime", str(error), name="ONNX Runtime") from error
    try:
        converted: onnx.ModelProto = float16.convert_float_to_float16(
            model,
            keep_io_types=True,
            disable_shape_infer=True,
            op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *FLOAT32_OPERATORS],
        )
        OnnxModel(converted).topological_sort()  # it puts its casts last
    except Exception as error:  # its errors share no class
        raise BuildError(
            "the graph could not be turned into half precision", str(error), "export it in float32"
        ) from error
    return converted
