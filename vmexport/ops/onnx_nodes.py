"""The operators as nodes of an ONNX graph, while `torch.onnx.export` traces a model."""

from __future__ import annotations

import torch
from torch import Tensor

from vmexport.ops.schema import CAUSAL_CONV1D, DOMAIN, OPSET_VERSION, SELECTIVE_SCAN, TokenOrder
from vmexport.ops.torch_checks import check_conv, check_scan

_OPEN_GATE = 32.0
"""A gate that lets all through: SiLU(32) is 32 to the last bit in every dtype, and division by it exact."""


def selective_scan_node(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None, *,
    order: TokenOrder, scale: float,
) -> Tensor:  # fmt: skip
    """One `vmexport::SelectiveScan` node; shapes as in `vmexport.ops.directional_selective_scan`.

    All inputs of the node are always present, because runtimes mishandle optional ones: an absent D or
    delta_bias becomes zeros, an absent gate an open one.

    Raises:
        ShapeError: a shape, dtype or attribute does not fit.
    """
    attributes = (order.directions, order.tokens_per_frame, order.class_token, scale)
    check_scan(u, delta, A, BC, D, delta_bias, z, *attributes)
    zeros = A.new_zeros(A.shape[:2])
    if z is None:
        z, scale = torch.full_like(u[0], _OPEN_GATE), scale / _OPEN_GATE
    inputs = (u, delta, A, BC, zeros if D is None else D, zeros if delta_bias is None else delta_bias, z)
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::{SELECTIVE_SCAN}",
        inputs,
        {**order.attributes(), "scale": float(scale)},
        dtype=u.dtype,
        shape=u.shape[1:],
        version=OPSET_VERSION,
    )


def causal_conv1d_node(x: Tensor, weight: Tensor, bias: Tensor | None, *, order: TokenOrder) -> Tensor:
    """One `vmexport::CausalConv1d` node; shapes as in `vmexport.ops.causal_conv1d`.

    Raises:
        ShapeError: a shape, dtype or attribute does not fit.
    """
    check_conv(x, weight, bias, order.directions, order.tokens_per_frame, order.class_token)
    if bias is None:
        bias = weight.new_zeros(weight.shape[:2])
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::{CAUSAL_CONV1D}",
        (x, weight, bias),
        order.attributes(),
        dtype=x.dtype,
        shape=(len(order.directions), *x.shape),
        version=OPSET_VERSION,
    )
