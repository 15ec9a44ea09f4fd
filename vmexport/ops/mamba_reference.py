"""The selective scan of mamba-ssm in full generality, in plain PyTorch: complex A, constant B and C, groups.

No model in use needs these forms to be fast; the operator serves the real, input-dependent one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vmexport.ops.reference import compute_dtype


def mamba_scan_reference(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, z: Tensor | None,
    delta_bias: Tensor | None, *, delta_softplus: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Arguments as in `vmexport.ops.selective_scan`, already checked.

    A complex state stands for a conjugate pair, hence the doubled real part in the output.

    Returns:
        out `(B, D, L)` in u's dtype and the last state `(B, D, N)`, complex where A is.
    """
    real = compute_dtype(u)
    kind = real.to_complex() if A.is_complex() else real
    wide_u, step = u.to(real), delta.to(real)
    if delta_bias is not None:
        step = step + delta_bias.to(real)[:, None]
    if delta_softplus:
        step = F.softplus(step)
    decay, drive, read = A.to(kind), _per_channel(B, u.shape[1], kind), _per_channel(C, u.shape[1], kind)
    state = decay.new_zeros(u.shape[0], *A.shape)
    outs = []
    for t in range(u.shape[2]):
        now = step[:, :, t, None]  # (B, D, 1)
        state = torch.exp(now * decay) * state + now * wide_u[:, :, t, None] * drive[..., t % drive.shape[-1]]
        y = (state * read[..., t % read.shape[-1]]).sum(-1)
        outs.append(2 * y.real if y.is_complex() else y)
    out = torch.stack(outs, dim=2) if outs else torch.zeros_like(wide_u)
    if D is not None:
        out = out + wide_u * D.to(real)[:, None]
    if z is not None:
        out = out * F.silu(z.to(real))
    return out.to(u.dtype), state


def _per_channel(matrix: Tensor, channels: int, kind: torch.dtype) -> Tensor:
    """B or C as `(B or 1, D or 1, N, L or 1)` in the dtype of the state."""
    if matrix.dim() == 2:
        return matrix.to(kind)[None, :, :, None]
    if kind.is_complex:
        pairs = matrix.to(kind.to_real()).reshape(*matrix.shape[:-1], matrix.shape[-1] // 2, 2)
        matrix = torch.view_as_complex(pairs.contiguous())
    if matrix.dim() == 3:
        return matrix.to(kind)[:, None]
    return matrix.to(kind).repeat_interleave(channels // matrix.shape[1], dim=1)
