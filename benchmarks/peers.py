"""Peers of the scan in PyTorch: what people run today on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional


def precomputed_scan(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor, D: Tensor, bias: Tensor, z: Tensor
) -> Tensor:
    """One direction the way of mamba-ssm's pure-PyTorch reference: decays of all steps first, then a loop.

    Args:
        u, delta, z: `(B, D, L)`, its layout.
        A: `(D, N)`.
        BC: pair stacked `(2, B, N, L)`.
        D, bias: `(D,)`.

    Returns:
        `(B, D, L)`.
    """
    delta = functional.softplus(delta + bias[:, None])
    decay = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    push = torch.einsum("bdl,bnl,bdl->bdln", delta, BC[0], u)
    state = torch.zeros_like(decay[:, :, 0])
    outputs = []
    for step in range(u.shape[2]):
        state = decay[:, :, step] * state + push[:, :, step]
        outputs.append(torch.einsum("bdn,bn->bd", state, BC[1][:, :, step]))
    return (torch.stack(outputs, dim=2) + u * D[:, None]) * functional.silu(z)


def lean_scan(u: Tensor, delta: Tensor, A: Tensor, BC: Tensor, D: Tensor, bias: Tensor) -> Tensor:
    """Directions side by side, token-major, nothing precomputed, as one writes it without further thought.

    Args:
        u, delta: `(L, S, D)`, each direction in its own visiting order.
        A: `(S, D, N)`.
        BC: `(L, S, 2N)`.
        D, bias: `(S, D)`.

    Returns:
        `(L, S, D)`, without the gate.
    """
    delta = functional.softplus(delta + bias)
    state = torch.zeros_like(A)
    outputs = []
    for step in range(len(u)):
        b, c = torch.chunk(BC[step].unsqueeze(1), 2, dim=-1)  # (S, 1, N) each
        push = (delta[step] * u[step]).unsqueeze(-1) * b
        state = torch.exp(delta[step].unsqueeze(-1) * A) * state + push
        outputs.append((state * c).sum(-1))
    return torch.stack(outputs) + D * u


def in_place_scan(u: Tensor, delta: Tensor, A: Tensor, BC: Tensor, D: Tensor, bias: Tensor) -> Tensor:
    """The same, tuned as far as PyTorch allows: no allocation in a step, products of all steps first."""
    states = A.shape[-1]
    delta = functional.softplus(delta + bias)
    pushed, steps = (delta * u).unsqueeze(-1), delta.unsqueeze(-1)  # (L, S, D, 1) each
    rows, columns = (
        BC[..., :states].unsqueeze(2),
        BC[..., states:].unsqueeze(-1),
    )  # (L, S, 1, N), (L, S, N, 1)
    state = torch.zeros_like(A)
    decay, product = torch.empty_like(A), torch.empty_like(A)
    y = u.new_empty(*u.shape, 1)  # (L, S, D, 1)
    for step in range(len(u)):
        torch.mul(steps[step], A, out=decay).exp_()
        torch.mul(pushed[step], rows[step], out=product)
        state.mul_(decay).add_(product)
        torch.matmul(state, columns[step], out=y[step])
    return y.squeeze(-1) + D * u


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, PyTorch uses one thread: on steps this small a second one costs more than it brings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
