"""Gradients of both operators in torch.

On CUDA tensors the scan's come from mamba-ssm's kernels where those are installed; all others are the
reference's. A native backward pass takes CPU tensors over by `register_kernel("cpu")` on the two operators
below. The backward passes are operators so that tracing never unrolls the loop over tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vmexport.ops.binding import Order
from vmexport.ops.mamba_backward import mamba_kernels, mamba_serves, selective_scan_backward_mamba
from vmexport.ops.reference_backward import (
    causal_conv1d_backward_reference,
    selective_scan_backward_reference,
)
from vmexport.ops.torch_checks import CONV_ARGUMENTS, SCAN_ARGUMENTS

_SCAN_TENSORS, _CONV_TENSORS = 7, 3


def _scan_backward(
    grad_y: Tensor, grad_last_state: Tensor | None, u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> list[Tensor]:  # fmt: skip
    """Gradients of the tensors that are there, in the order of the arguments."""
    if grad_last_state is None:
        grad_last_state = A.new_zeros((*u.shape[:2], *A.shape[1:]))
    return selective_scan_backward_reference(
        grad_y, grad_last_state, (u, delta, A, BC, D, delta_bias, z),
        directions=directions, tokens_per_frame=tokens_per_frame, class_token=class_token,
        scale=scale, delta_softplus=delta_softplus,
    )  # fmt: skip


def _scan_backward_cuda(
    grad_y: Tensor, grad_last_state: Tensor | None, u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> list[Tensor]:  # fmt: skip
    """The same on CUDA tensors, by mamba-ssm's kernels where they are there and can."""
    tensors = (u, delta, A, BC, D, delta_bias, z)
    kernels = mamba_kernels() if grad_last_state is None and mamba_serves(tensors) else None
    if kernels is None:
        return _scan_backward(grad_y, grad_last_state, *tensors,
                              directions, tokens_per_frame, class_token, scale, delta_softplus)  # fmt: skip
    order = Order(tuple(directions), tokens_per_frame, class_token)
    return selective_scan_backward_mamba(
        kernels, grad_y, tensors, order, scale=scale, delta_softplus=delta_softplus
    )


def _conv_backward(
    grad_u: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> list[Tensor]:  # fmt: skip
    """Gradients of the tensors that are there, in the order of the arguments."""
    return causal_conv1d_backward_reference(
        grad_u, x, weight, bias,
        directions=directions, tokens_per_frame=tokens_per_frame, class_token=class_token,
    )  # fmt: skip


_GRAD_SCAN = torch.library.custom_op(
    "vmexport::selective_scan_backward",
    _scan_backward,
    mutates_args=(),
    schema=f"(Tensor grad_y, Tensor? grad_last_state, {SCAN_ARGUMENTS}) -> Tensor[]",
)
_GRAD_CONV = torch.library.custom_op(
    "vmexport::causal_conv1d_backward",
    _conv_backward,
    mutates_args=(),
    schema=f"(Tensor grad_u, {CONV_ARGUMENTS}) -> Tensor[]",
)


_GRAD_SCAN.register_kernel("cuda", _scan_backward_cuda)


@_GRAD_SCAN.register_fake
def _scan_backward_fake(grad_y: Tensor, grad_last_state: Tensor | None, *arguments: Any) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in arguments[:_SCAN_TENSORS] if tensor is not None]


@_GRAD_CONV.register_fake
def _conv_backward_fake(grad_u: Tensor, *arguments: Any) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in arguments[:_CONV_TENSORS] if tensor is not None]


def save_scan(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what `scan_backward` needs; a gradient that nobody asks for is None rather than zeros."""
    ctx.set_materialize_grads(False)
    _save(ctx, inputs, _SCAN_TENSORS)


def save_conv(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what `conv_backward` needs."""
    _save(ctx, inputs, _CONV_TENSORS)


def scan_backward(
    ctx: Any, grad_y: Tensor | None, grad_last_state: Tensor | None
) -> tuple[Tensor | None, ...]:
    """Gradients of all arguments of the scan, None for absent tensors and attributes."""
    if grad_y is None:
        u = ctx.saved_tensors[0]
        grad_y = u.new_zeros(u.shape[1:])
    grads = _GRAD_SCAN(grad_y, grad_last_state, *ctx.saved_tensors, *ctx.attributes)
    return _spread(ctx, grads)


def conv_backward(ctx: Any, grad_u: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of all arguments of the convolution, None for absent tensors and attributes."""
    return _spread(ctx, _GRAD_CONV(grad_u, *ctx.saved_tensors, *ctx.attributes))


def _save(ctx: Any, inputs: tuple[Any, ...], tensors: int) -> None:
    """Tensors first, attributes behind them, as in the schema."""
    ctx.save_for_backward(*inputs[:tensors])
    ctx.attributes = inputs[tensors:]


def _spread(ctx: Any, grads: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Put the gradients where their tensors stood among the arguments."""
    remaining = iter(grads)
    spread = [None if tensor is None else next(remaining) for tensor in ctx.saved_tensors]
    return (*spread, *(None for _ in ctx.attributes))
