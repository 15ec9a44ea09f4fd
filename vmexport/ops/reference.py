"""The operators in plain PyTorch: slow, differentiable, and the only oracle.

Every other implementation is measured against these two functions. They compute in float32, or in float64
where the first argument is float64. Letters: `S` directions, `B` batch, `L` tokens, `D` channels, `N` states,
`K` taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vmexport.ops.schema import visiting_order
from vmexport.ops.validate import (
    check_directions,
    check_limits,
    check_order,
    check_scale,
    check_whole,
    conv_sizes,
    scan_sizes,
)


def scan_shapes(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None
) -> dict[str, Sequence[int] | None]:  # fmt: skip
    """Shapes by tensor name, as `validate.scan_sizes` reads them."""
    named = {"u": u, "delta": delta, "A": A, "BC": BC, "D": D, "delta_bias": delta_bias, "z": z}
    return {name: None if tensor is None else tensor.shape for name, tensor in named.items()}


@overload
def selective_scan_reference(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None, *,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float = ...,
    delta_softplus: bool = ..., return_last_state: Literal[False] = ...,
) -> Tensor: ...  # fmt: skip
@overload
def selective_scan_reference(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None, *,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float = ...,
    delta_softplus: bool = ..., return_last_state: Literal[True],
) -> tuple[Tensor, Tensor]: ...  # fmt: skip
def selective_scan_reference(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None, *,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float = 1.0,
    delta_softplus: bool = True, return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """`y = scale * SiLU(z) * sum_s scan_s`, one step at a time.

    At step t direction s visits token `i = order_s(t)`: `step = softplus(delta_i + delta_bias)`,
    `h = exp(step A) h + step B_i u_i`, `scan_i = C_i h + D u_i` (Gu and Dao, Mamba, section 3).

    Args:
        u: `(S, B, L, D)`, any floating dtype.
        delta: `(S, B, L, D)`, without bias.
        A: `(S, D, N)`, real.
        BC: `(S, B, L, 2N)`, B then C.
        D: `(S, D)` skip, or None.
        delta_bias: `(S, D)`, or None.
        z: `(B, L, D)` gate, or None.
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of one frame.
        class_token: 1 where token 0 is a class token.
        scale: factor on the sum of the directions.
        delta_softplus: False uses `delta + delta_bias` as it is.
        return_last_state: also return the state after the last step.

    Returns:
        y `(B, L, D)` in u's dtype; with `return_last_state` also the state `(S, B, D, N)`, at least float32.

    Raises:
        ShapeError: shapes, orders or attributes do not fit.
    """
    directions = check_directions("selective_scan", directions)
    check_whole("selective_scan", tokens_per_frame=tokens_per_frame, class_token=class_token)
    scale = check_scale("selective_scan", scale)
    sizes = scan_sizes(scan_shapes(u, delta, A, BC, D, delta_bias, z), len(directions))
    check_limits("selective_scan", sizes)
    check_order("selective_scan", directions, tokens_per_frame, class_token, sizes.length)
    wide = compute_dtype(u)
    visited = order_index(directions, sizes.length, tokens_per_frame, class_token, u.device)
    u_t, step, bc = (take_tokens(tensor.to(wide), visited) for tensor in (u, delta, BC))  # in scan order
    if delta_bias is not None:
        step = step + delta_bias.to(wide)[:, None, None]
    if delta_softplus:
        step = F.softplus(step)
    scans, state = _recur(u_t, step, A.to(wide), *bc.chunk(2, dim=-1))
    if D is not None:
        scans = scans + D.to(wide)[:, None, None] * u_t
    y = scale * take_tokens(scans, visited.argsort(dim=-1)).sum(0)  # (B, L, D), natural order again
    if z is not None:
        y = y * F.silu(z.to(wide))
    y = y.to(u.dtype)
    return (y, state) if return_last_state else y


def causal_conv1d_reference(
    x: Tensor, weight: Tensor, bias: Tensor | None, *,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> Tensor:  # fmt: skip
    """Causal depthwise convolution in scan order, then SiLU.

    `u_s[order_s(t)] = SiLU(bias_s + sum_k weight_s[k] x[order_s(t - K + 1 + k)])`, zeros before step 0.

    Args:
        x: `(B, L, D)`, any floating dtype.
        weight: `(S, D, K)`.
        bias: `(S, D)`, or None.
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of one frame.
        class_token: 1 where token 0 is a class token.

    Returns:
        `(S, B, L, D)` in x's dtype, tokens in natural order.

    Raises:
        ShapeError: shapes, orders or attributes do not fit.
    """
    directions = check_directions("causal_conv1d", directions)
    check_whole("causal_conv1d", tokens_per_frame=tokens_per_frame, class_token=class_token)
    shapes = {"x": x.shape, "weight": weight.shape, "bias": None if bias is None else bias.shape}
    sizes = conv_sizes(shapes, len(directions))
    check_limits("causal_conv1d", sizes)
    check_order("causal_conv1d", directions, tokens_per_frame, class_token, sizes.length)
    wide = compute_dtype(x)
    visited = order_index(directions, sizes.length, tokens_per_frame, class_token, x.device)
    x_t = take_tokens(x.to(wide).expand(sizes.directions, *x.shape), visited)  # (S, B, L, D) in scan order
    padded = F.pad(x_t, (0, 0, sizes.inner - 1, 0))
    total = torch.zeros_like(x_t) if bias is None else bias.to(wide)[:, None, None]
    for tap in range(sizes.inner):
        total = total + weight.to(wide)[:, None, None, :, tap] * padded[:, :, tap : tap + sizes.length]
    return take_tokens(F.silu(total), visited.argsort(dim=-1)).to(x.dtype)


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """float64 for a float64 tensor, float32 for every other."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def order_index(
    directions: Sequence[int], length: int, tokens_per_frame: int, class_token: int, device: torch.device
) -> Tensor:
    """`(S, L)` int64: the token that each direction visits at each step."""
    orders = [visiting_order(order, length, tokens_per_frame, class_token) for order in directions]
    return torch.tensor(orders, dtype=torch.int64, device=device)


def take_tokens(tensor: Tensor, index: Tensor) -> Tensor:
    """`(S, B, L, C)` with the tokens of direction s picked by `index[s]`."""
    return torch.stack([part.index_select(1, tokens) for part, tokens in zip(tensor, index, strict=True)])


def _recur(u: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence itself, inputs in scan order: scans `(S, B, L, D)` and the last state `(S, B, D, N)`."""
    state = A.new_zeros(*u.shape[:2], *A.shape[1:])
    scans = []
    for t in range(u.shape[2]):
        now = step[:, :, t, :, None]  # (S, B, D, 1)
        drive = now * u[:, :, t, :, None] * B[:, :, t, None, :]
        state = torch.exp(now * A[:, None]) * state + drive
        scans.append((state * C[:, :, t, None, :]).sum(-1))
    return torch.stack(scans, dim=2) if scans else torch.zeros_like(u), state
