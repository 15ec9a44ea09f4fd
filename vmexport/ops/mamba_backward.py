"""Gradients of the scan on CUDA by mamba-ssm's kernels (its extension `selective_scan_cuda`), for training.

mamba-ssm scans one direction in natural order, channels before tokens, with B and C in groups of channels:
see `channel_rows`. All directions go into one call. Sum, gate and scale stand around it in torch. Letters as
in `vmexport.ops.reference`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vmexport.ops.channel_rows import KERNEL_DTYPES, LAST_GRID_AXIS, fold, orders, unfold
from vmexport.ops.reference import take_tokens
from vmexport.ops.reference_backward import ScanTensors, silu_slope
from vmexport.ops.schema import MAX_STATES, TokenOrder


def mamba_serves(tensors: ScanTensors) -> bool:
    """Whether mamba-ssm's kernels take these tensors: dtype, sizes, anything to do at all."""
    u, states = tensors[0], tensors[2].shape[2]
    fits = states <= MAX_STATES and u.shape[0] * u.shape[3] <= LAST_GRID_AXIS
    return u.dtype in KERNEL_DTYPES and fits and u.numel() > 0


def selective_scan_backward_mamba(
    kernels: Any,
    grad_y: Tensor,
    tensors: ScanTensors,
    order: TokenOrder,
    *,
    scale: float,
    delta_softplus: bool,
) -> list[Tensor]:
    """Pull a gradient back through the scan; the last state's gradient is taken as zero.

    Args:
        kernels: module with mamba-ssm's `fwd` and `bwd`.
        grad_y: `(B, L, D)`, of the result.
        tensors: u, delta, A, BC, D, delta_bias, z of the forward call, for which `mamba_serves` holds.
        order: how the tokens are visited.
        scale: factor on the sum of the directions.
        delta_softplus: whether softplus was applied to `delta + delta_bias`.

    Returns:
        the gradients of the tensors that are there, in their order, shape and dtype.
    """
    u, delta, A, BC, D, delta_bias, z = tensors
    visited, natural = orders(order, u.shape[2], u.device)
    B, C = fold(take_tokens(BC, visited)).chunk(2, dim=2)  # (B, S, N, L) each
    call = (
        fold(take_tokens(u, visited)).flatten(1, 2),  # (B, S D, L)
        fold(take_tokens(delta, visited)).flatten(1, 2),
        A.contiguous().flatten(0, 1),  # (S D, N)
        B, C,
        None if D is None else D.flatten(),  # (S D)
        None,  # the gate is shared by the directions, so it stands outside
        None if delta_bias is None else delta_bias.flatten(),
    )  # fmt: skip
    out, carried = kernels.fwd(*call, delta_softplus)[:2]
    grad_sum, grad_z = grad_y.float() * scale, None
    if z is not None:
        wide = z.float()
        total = take_tokens(unfold(out, len(u)).float(), natural).sum(0)  # (B, L, D)
        grad_z = grad_sum * total * silu_slope(wide)
        grad_sum = grad_sum * F.silu(wide)
    grad_scan = take_tokens(grad_sum.to(u.dtype).expand_as(u), visited)
    grads = kernels.bwd(*call, fold(grad_scan).flatten(1, 2), carried, None, None, delta_softplus, False)
    du, ddelta, dA, dB, dC, dD, dbias = grads[:7]
    dBC = torch.cat([dB, dC], dim=2).permute(1, 0, 3, 2)  # (S, B, L, 2N)
    in_order = (unfold(du, len(u)), unfold(ddelta, len(u)), dBC)
    grad_u, grad_delta, grad_bc = (take_tokens(part, natural) for part in in_order)
    grad_tensors = (grad_u, grad_delta, dA, grad_bc, dD, dbias, grad_z)
    return [
        grad.reshape(tensor.shape).to(tensor.dtype).contiguous()
        for grad, tensor in zip(grad_tensors, tensors, strict=True)
        if grad is not None and tensor is not None
    ]
