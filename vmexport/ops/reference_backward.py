"""Gradients of both operators in plain PyTorch, step by step: the oracle of a native backward pass.

Nothing here uses autograd, so these functions may run inside an operator, where autograd is switched off.
Letters as in `vmexport.ops.reference`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vmexport.ops.reference import compute_dtype, order_index, take_tokens

ScanTensors = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


@dataclass(frozen=True)
class _Sequence:
    """A scan in scan order: `u`, `step` `(S, B, L, D)`; `A` `(S, D, N)`; `B`, `C` `(S, B, L, N)`."""

    u: Tensor
    step: Tensor
    A: Tensor
    B: Tensor
    C: Tensor


def selective_scan_backward_reference(
    grad_y: Tensor, grad_last_state: Tensor, tensors: ScanTensors, *,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> list[Tensor]:  # fmt: skip
    """Pull gradients back through `selective_scan_reference`.

    Args:
        grad_y: `(B, L, D)`, of the result.
        grad_last_state: `(S, B, D, N)`, of the last state.
        tensors: u, delta, A, BC, D, delta_bias, z of the forward call.
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of one frame.
        class_token: 1 where token 0 is a class token.
        scale: factor on the sum of the directions.
        delta_softplus: whether softplus was applied to `delta + delta_bias`.

    Returns:
        the gradients of the tensors that are there, in their order, shape and dtype.
    """
    wide = compute_dtype(tensors[0])
    visited = order_index(directions, tensors[0].shape[2], tokens_per_frame, class_token, grad_y.device)
    natural = visited.argsort(dim=-1)
    u, delta, A, bc = (t.to(wide) for t in tensors[:4])
    skip, bias, z = (None if t is None else t.to(wide) for t in tensors[4:])
    raw = take_tokens(delta, visited)
    if bias is not None:
        raw = raw + bias[:, None, None]
    step = F.softplus(raw) if delta_softplus else raw
    seq = _Sequence(take_tokens(u, visited), step, A, *take_tokens(bc, visited).chunk(2, dim=-1))
    states = _states(seq)
    grad_sum, grad_z = grad_y.to(wide) * scale, None
    if z is not None:
        total = (states[1:] * seq.C.movedim(2, 0)[:, :, :, None]).sum(-1).movedim(0, 2)  # (S, B, L, D)
        if skip is not None:
            total = total + skip[:, None, None] * seq.u
        grad_z = grad_sum * take_tokens(total, natural).sum(0) * silu_slope(z)
        grad_sum = grad_sum * F.silu(z)
    grad_scan = take_tokens(grad_sum.expand_as(u), visited)
    grad_u, grad_step, grad_A, grad_bc = _reverse(seq, states, grad_scan, grad_last_state.to(wide))
    if skip is not None:
        grad_u = grad_u + skip[:, None, None] * grad_scan
    grad_raw = grad_step * _softplus_slope(raw) if delta_softplus else grad_step
    grad_u, grad_delta, grad_bc = (take_tokens(t, natural) for t in (grad_u, grad_raw, grad_bc))
    grads = (
        grad_u,
        grad_delta,
        grad_A,
        grad_bc,
        (grad_scan * seq.u).sum((1, 2)),
        grad_raw.sum((1, 2)),
        grad_z,
    )
    return [
        grad.to(tensor.dtype).contiguous()
        for grad, tensor in zip(grads, tensors, strict=True)
        if grad is not None and tensor is not None
    ]


def causal_conv1d_backward_reference(
    grad_u: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, *,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> list[Tensor]:  # fmt: skip
    """Pull a gradient back through `causal_conv1d_reference`.

    Args:
        grad_u: `(S, B, L, D)`, of the result.
        x: `(B, L, D)`.
        weight: `(S, D, K)`.
        bias: `(S, D)`, or None.
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of one frame.
        class_token: 1 where token 0 is a class token.

    Returns:
        the gradients of x, weight and, if there is one, bias, in their shape and dtype.
    """
    wide = compute_dtype(x)
    length, taps = x.shape[1], weight.shape[2]
    visited = order_index(directions, length, tokens_per_frame, class_token, x.device)
    x_t = take_tokens(x.to(wide).expand_as(grad_u), visited)
    kernel = weight.to(wide)
    shifted = [F.pad(x_t, (0, 0, taps - 1 - k, 0))[:, :, :length] for k in range(taps)]
    total = torch.zeros_like(x_t) if bias is None else bias.to(wide)[:, None, None].expand_as(x_t)
    for k in range(taps):
        total = total + kernel[:, None, None, :, k] * shifted[k]
    grad = take_tokens(grad_u.to(wide), visited) * silu_slope(total)
    grad_x = torch.zeros_like(x_t)
    for k in range(taps):
        part = kernel[:, None, None, :, k] * grad
        grad_x = grad_x + F.pad(part, (0, 0, 0, taps - 1 - k))[:, :, taps - 1 - k :]
    grad_weight = torch.stack([(grad * part).sum((1, 2)) for part in shifted], dim=-1)
    grad_x = take_tokens(grad_x, visited.argsort(dim=-1)).sum(0)
    grads = [grad_x.to(x.dtype).contiguous(), grad_weight.to(weight.dtype)]
    return grads if bias is None else [*grads, grad.sum((1, 2)).to(bias.dtype)]


def _states(seq: _Sequence) -> Tensor:
    """`(L + 1, S, B, D, N)`: the state before the first step and after each."""
    steps = seq.u.shape[2]
    states = seq.A.new_zeros(steps + 1, *seq.u.shape[:2], *seq.A.shape[1:])
    for t in range(steps):
        drive = (seq.step[:, :, t] * seq.u[:, :, t])[..., None] * seq.B[:, :, t, None]
        states[t + 1] = torch.exp(seq.step[:, :, t, :, None] * seq.A[:, None]) * states[t] + drive
    return states


def _reverse(
    seq: _Sequence, states: Tensor, grad_scan: Tensor, grad_state: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Walk back from the last step; gradients of u, step, A and BC, in scan order."""
    grad_u, grad_step, grad_A = torch.zeros_like(seq.u), torch.zeros_like(seq.u), torch.zeros_like(seq.A)
    grad_b, grad_c = torch.zeros_like(seq.B), torch.zeros_like(seq.C)
    for t in reversed(range(seq.u.shape[2])):
        now, u, g = (tensor[:, :, t, :, None] for tensor in (seq.step, seq.u, grad_scan))  # (S, B, D, 1)
        b, c = (tensor[:, :, t, None] for tensor in (seq.B, seq.C))  # (S, B, 1, N)
        grad_c[:, :, t] = (g * states[t + 1]).sum(2)
        grad_state = grad_state + g * c
        decay = torch.exp(now * seq.A[:, None])
        through = grad_state * decay * states[t]  # gradient of the exponent step * A
        driven = (grad_state * b).sum(-1)
        grad_A += (now * through).sum(1)
        grad_step[:, :, t] = (through * seq.A[:, None]).sum(-1) + driven * u[..., 0]
        grad_u[:, :, t] = driven * now[..., 0]
        grad_b[:, :, t] = (grad_state * now * u).sum(2)
        grad_state = grad_state * decay
    return grad_u, grad_step, grad_A, torch.cat([grad_b, grad_c], dim=-1)


def silu_slope(x: Tensor) -> Tensor:
    """Derivative of SiLU."""
    gate = torch.sigmoid(x)
    return gate * (1 + x * (1 - gate))


def _softplus_slope(x: Tensor) -> Tensor:
    """Derivative of torch's softplus, which is the identity above 20."""
    return torch.where(x > 20, torch.ones_like(x), torch.sigmoid(x))
