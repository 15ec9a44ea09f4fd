"""Gradients of the convolution on CUDA by causal-conv1d's kernels, for training.

causal-conv1d knows one direction in natural order, channels before tokens: see `channel_rows`. Letters as
in `vmexport.ops.reference`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vmexport.ops.channel_rows import KERNEL_DTYPES, LAST_GRID_AXIS, fold, orders, unfold
from vmexport.ops.reference import take_tokens
from vmexport.ops.schema import TokenOrder

TAPS = (2, 3, 4)
"""Lengths of a kernel that causal-conv1d has been compiled for."""


def conv_serves(x: Tensor, weight: Tensor) -> bool:
    """Whether causal-conv1d's kernels take these tensors: dtypes, sizes, anything to do at all."""
    directions, channels, taps = weight.shape
    fits = taps in TAPS and directions * channels <= LAST_GRID_AXIS
    return x.dtype in KERNEL_DTYPES and weight.dtype in KERNEL_DTYPES and fits and x.numel() > 0


def causal_conv1d_backward_kernels(
    kernels: Any, grad_u: Tensor, tensors: tuple[Tensor, Tensor, Tensor | None], order: TokenOrder
) -> list[Tensor]:
    """Pull a gradient back through the convolution and its SiLU.

    Args:
        kernels: module with causal-conv1d's `causal_conv1d_bwd_function`.
        grad_u: `(S, B, L, D)`, of the result.
        tensors: x `(B, L, D)`, weight `(S, D, K)` and bias `(S, D)` or None of the forward call, for which
            `conv_serves` holds.
        order: how the tokens are visited.

    Returns:
        the gradients of x, weight and, if there is one, bias, in their shape and dtype.
    """
    x, weight, bias = tensors
    visited, natural = orders(order, x.shape[1], x.device)
    grad_rows, grad_weight, grad_bias, _ = kernels.causal_conv1d_bwd_function(
        fold(take_tokens(x.expand_as(grad_u), visited)).flatten(1, 2),  # (B, S D, L)
        weight.flatten(0, 1).contiguous(),  # (S D, K)
        None if bias is None else bias.flatten().to(weight.dtype),  # (S D)
        fold(take_tokens(grad_u.to(x.dtype), visited)).flatten(1, 2),
        None, None, None,  # no packed sequences, no states before or after
        None,
        False,
        True,  # SiLU
    )  # fmt: skip
    grad_x = take_tokens(unfold(grad_rows, len(grad_u)), natural).float().sum(0)
    grads = [grad_x.to(x.dtype).contiguous(), grad_weight.reshape(weight.shape).to(weight.dtype)]
    return grads if bias is None else [*grads, grad_bias.reshape(bias.shape).to(bias.dtype)]
