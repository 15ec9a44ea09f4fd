"""The operators' arguments in torch: their schema, and checks for paths that never reach the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from vmexport.ops.reference import compute_dtype, scan_shapes
from vmexport.ops.validate import check_limits, check_order, check_scale, conv_sizes, refuse, scan_sizes

SCAN_ARGUMENTS = (
    "Tensor u, Tensor delta, Tensor A, Tensor BC, Tensor? D, Tensor? delta_bias, Tensor? z, "
    "int[] directions, SymInt tokens_per_frame, SymInt class_token, float scale, bool delta_softplus"
)
CONV_ARGUMENTS = (
    "Tensor x, Tensor weight, Tensor? bias, int[] directions, SymInt tokens_per_frame, SymInt class_token"
)

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def check_scan(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float,
) -> None:  # fmt: skip
    """Hold all arguments of the scan against its contract (`vmexport.ops.schema`).

    Raises:
        ShapeError: a shape, dtype, device or attribute does not fit.
    """
    sizes = scan_sizes(scan_shapes(u, delta, A, BC, D, delta_bias, z), len(directions))
    check_limits("selective_scan", sizes)
    check_order("selective_scan", directions, tokens_per_frame, class_token, sizes.length)
    check_scale("selective_scan", scale)
    same = {"u": u, "delta": delta, "BC": BC, "z": z}
    parameters = {"A": A, "D": D, "delta_bias": delta_bias}
    _check_dtypes("selective_scan", same, parameters, u)
    check_devices("selective_scan", same | parameters)


def check_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> None:  # fmt: skip
    """Hold all arguments of the convolution against its contract.

    Raises:
        ShapeError: a shape, dtype, device or attribute does not fit.
    """
    shapes = {"x": x.shape, "weight": weight.shape, "bias": None if bias is None else bias.shape}
    sizes = conv_sizes(shapes, len(directions))
    check_limits("causal_conv1d", sizes)
    check_order("causal_conv1d", directions, tokens_per_frame, class_token, sizes.length)
    parameters = {"weight": weight, "bias": bias}
    _check_dtypes("causal_conv1d", {"x": x}, parameters, x)
    check_devices("causal_conv1d", {"x": x, **parameters})


def check_tensors(operator: str, required: Mapping[str, object], optional: Mapping[str, object]) -> None:
    """Every argument is a dense tensor, or None where it may be left out.

    Raises:
        ShapeError: one is something else.
    """
    for name, value in {**required, **optional}.items():
        if value is None and name in optional:
            continue
        if not isinstance(value, Tensor):
            refuse(operator, name, "a torch.Tensor", type(value).__name__)
        if isinstance(value, UninitializedParameter | UninitializedBuffer):
            refuse(operator, name, "a tensor with values", "a parameter that is not initialised")
        if value.layout is not torch.strided:
            refuse(operator, name, "a dense tensor", value.layout)
        if value.is_nested or value.is_quantized:
            refuse(operator, name, "a dense tensor", "a nested one" if value.is_nested else "a quantised one")


def check_devices(operator: str, named: Mapping[str, Tensor | None]) -> None:
    """All tensors of a call lie on the first one's device.

    Raises:
        ShapeError: one does not.
    """
    present = {name: tensor.device for name, tensor in named.items() if tensor is not None}
    first = next(iter(present.values()))
    for name, device in present.items():
        if device != first:
            refuse(operator, name, f"device {first} like the first tensor", device)


def _check_dtypes(
    operator: str, same: Mapping[str, Tensor | None], parameters: Mapping[str, Tensor | None], first: Tensor
) -> None:
    """Activations share the first tensor's dtype; parameters are float32, or float64 beside float64."""
    for name, tensor in same.items():
        if tensor is None:
            continue
        if tensor.dtype not in DTYPES:
            refuse(operator, name, f"dtype {', '.join(map(_name, DTYPES))}", _name(tensor.dtype))
        if tensor.dtype != first.dtype:
            refuse(operator, name, f"dtype {_name(first.dtype)} like the first tensor", _name(tensor.dtype))
    wanted = compute_dtype(first)
    for name, tensor in parameters.items():
        if tensor is not None and tensor.dtype != wanted:
            refuse(operator, name, f"dtype {_name(wanted)}", _name(tensor.dtype))


def _name(dtype: torch.dtype) -> str:
    """`float16` rather than `torch.float16`: the same words as from the native core."""
    return str(dtype).removeprefix("torch.")
