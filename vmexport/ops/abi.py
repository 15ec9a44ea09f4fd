"""The C structs of `plugins/scan/params.h` for ctypes, field by field in the same order."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_float, c_int32, c_int64, c_uint32, c_void_p

from vmexport.ops.schema import MAX_DIRECTIONS

MESSAGE_SIZE = 256
DTYPES = {"float32": 0, "float16": 1, "bfloat16": 2}
"""`vmexport_dtype` by the name that NumPy and PyTorch give a dtype."""

OK, INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED, LAUNCH_FAILED = range(5)
"""`vmexport_status`."""


class TokenOrder(ctypes.Structure):
    """`vmexport_token_order`."""

    _fields_ = (
        ("tokens_per_frame", c_int64),
        ("class_token", c_int32),
        ("directions", c_int32),
        ("orders", c_int32 * MAX_DIRECTIONS),
    )

    @classmethod
    def of(cls, directions: Sequence[int], tokens_per_frame: int, class_token: int) -> TokenOrder:
        """Fill the struct; directions beyond its room are only counted: the core refuses them."""
        orders = (c_int32 * MAX_DIRECTIONS)(*directions[:MAX_DIRECTIONS])
        return cls(tokens_per_frame, class_token, len(directions), orders)


class Executor(ctypes.Structure):
    """`vmexport_executor`; the callback stays null here, so the core starts its own threads."""

    _fields_ = (("parallel_for", c_void_p), ("executor", c_void_p), ("threads", c_int32))


class ScanParams(ctypes.Structure):
    """`vmexport_scan_params`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("batch", c_int64),
        ("length", c_int64),
        ("channels", c_int64),
        ("states", c_int64),
        ("order", TokenOrder),
        ("delta_softplus", c_int32),
        ("scale", c_float),
        ("u", c_void_p),
        ("delta", c_void_p),
        ("a", c_void_p),
        ("bc", c_void_p),
        ("d", c_void_p),
        ("delta_bias", c_void_p),
        ("z", c_void_p),
        ("y", c_void_p),
        ("last_state", c_void_p),
        ("u_stride", c_int64 * 3),
        ("delta_stride", c_int64 * 3),
        ("bc_stride", c_int64 * 3),
        ("z_stride", c_int64 * 2),
        ("y_stride", c_int64 * 2),
        ("executor", Executor),
    )


class ConvParams(ctypes.Structure):
    """`vmexport_conv_params`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("batch", c_int64),
        ("length", c_int64),
        ("channels", c_int64),
        ("taps", c_int64),
        ("order", TokenOrder),
        ("x", c_void_p),
        ("weight", c_void_p),
        ("bias", c_void_p),
        ("u", c_void_p),
        ("x_stride", c_int64 * 2),
        ("u_stride", c_int64 * 3),
        ("executor", Executor),
    )


class ScanBackwardParams(ctypes.Structure):
    """`vmexport_scan_backward_params`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("scan", ScanParams),
        ("grad_y", c_void_p),
        ("grad_last_state", c_void_p),
        ("grad_u", c_void_p),
        ("grad_delta", c_void_p),
        ("grad_a", c_void_p),
        ("grad_bc", c_void_p),
        ("grad_d", c_void_p),
        ("grad_delta_bias", c_void_p),
        ("grad_z", c_void_p),
        ("grad_y_stride", c_int64 * 2),
        ("grad_u_stride", c_int64 * 3),
        ("grad_delta_stride", c_int64 * 3),
        ("grad_bc_stride", c_int64 * 3),
        ("grad_z_stride", c_int64 * 2),
    )


class ConvBackwardParams(ctypes.Structure):
    """`vmexport_conv_backward_params`."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("conv", ConvParams),
        ("grad_u", c_void_p),
        ("grad_x", c_void_p),
        ("grad_weight", c_void_p),
        ("grad_bias", c_void_p),
        ("grad_u_stride", c_int64 * 3),
        ("grad_x_stride", c_int64 * 2),
    )
