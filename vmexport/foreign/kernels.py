"""What other people's entry points compute, by this package's operators, from arguments by name.

Layouts are theirs: `(B, D, L)` for sequences of channels, `(B, L, D)` for the norms. Every function takes
`Arguments` and serves all published versions of its kind; gradients flow, and while exporting to ONNX each
scan and each convolution becomes a node.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vmexport.errors import UsageError
from vmexport.foreign.calls import Arguments
from vmexport.ops.functional import causal_conv1d, directional_selective_scan
from vmexport.ops.mamba import selective_scan
from vmexport.ops.mamba_reference import mamba_scan_reference
from vmexport.ops.reference import compute_dtype
from vmexport.ops.schema import MAX_TAPS, ScanOrder

SILU = ("silu", "swish")
FORWARD = (ScanOrder.FORWARD,)
BOTH = (ScanOrder.FORWARD, ScanOrder.SPATIOTEMPORAL)


_DEFINITION: ContextVar[bool] = ContextVar("definition", default=False)


@contextlib.contextmanager
def by_definition() -> Iterator[None]:
    """While it is open, all of this is computed by plain PyTorch, one step a token, and no kernel of ours.

    An export is compared with that: it shares no code with what is exported.
    """
    token = _DEFINITION.set(True)
    try:
        yield
    finally:
        _DEFINITION.reset(token)


def scan(a: Arguments) -> Any:
    """mamba-ssm's `selective_scan_fn` and VMamba's: out `(B, D, L)`, with `return_last_state` also the state.

    `oflex` of VMamba asks for a float32 result, whatever goes in.
    """
    found = _scan(
        a["u"], a["delta"], a["A"], a["B"], a["C"], a["D"], a["z"], a["delta_bias"],
        bool(a["delta_softplus"]), bool(a["return_last_state"]),
    )  # fmt: skip
    return found.float() if a["oflex"] and isinstance(found, Tensor) else found


def convolution(a: Arguments) -> Tensor:
    """causal-conv1d's `causal_conv1d_fn`: `(B, D, L)`, with SiLU where `activation` says so.

    Raises:
        UsageError: states handed in or out, packed sequences, or another activation.
    """
    a.refuse("causal_conv1d", seq_idx=None, initial_states=None, return_final_states=False,
             final_states_out=None, cu_seqlens=None)  # fmt: skip
    activation = a["activation"]
    if activation not in (None, False, True, *SILU):
        raise UsageError(
            f"unknown activation {activation!r} of causal_conv1d", "expected silu, swish or None"
        )
    x, weight = a["x"], a["weight"]
    return _convolved(x.transpose(1, 2), weight, a["bias"], bool(activation)).transpose(1, 2)


def mamba_inner(a: Arguments) -> Tensor:
    """The inside of a Mamba block: convolution, projections, scan, gate and, where given, out-projection.

    `MambaInnerFn`, Vim's `MambaInnerFnNoOutProj`, and Vim's `BiMambaInnerFn` (`A_b` given), whose two
    directions share everything but A and become one scan.

    Returns:
        `(B, L, D_model)`; `(B, D, L)` without an out-projection.
    """
    x, z = a["xz"].transpose(1, 2).chunk(2, dim=-1)  # (B, L, D) each
    u = _convolved(x, a["conv1d_weight"].flatten(1), a["conv1d_bias"], silu=True)
    if a["A"].is_complex():
        raise UsageError(
            "this Mamba block has a complex A", "the fused block computes real ones", "keep A real"
        )
    rank, states = a["delta_proj_weight"].shape[1], a["A"].shape[-1]
    projected = F.linear(u, a["x_proj_weight"].to(u.dtype))
    delta = F.linear(projected[..., :rank], a["delta_proj_weight"].to(u.dtype))
    B, C = projected[..., rank : rank + states], projected[..., -states:]
    if a["B_proj_bias"] is not None:
        B = B + a["B_proj_bias"].to(B.dtype)
    if a["C_proj_bias"] is not None:
        C = C + a["C_proj_bias"].to(C.dtype)
    eps = a["b_c_dt_rms_eps"]
    B, C, delta = (
        value if weight is None else _normed(value, weight, None, eps, rms=True)
        for value, weight in ((B, a["b_rms_weight"]), (C, a["c_rms_weight"]), (delta, a["dt_rms_weight"]))
    )
    fused = a["B"] is None and a["C"] is None and a["delta_softplus"] is not False
    if _DEFINITION.get() or not fused:
        y = _general_scan(a, u, delta, B, C, z)
    else:
        y = _fused_scan(a, u, delta, torch.cat([B, C], dim=-1), z)
    if a["out_proj_weight"] is None:
        return y.transpose(1, 2)
    out_bias = a["out_proj_bias"]
    return F.linear(y, a["out_proj_weight"].to(y.dtype), None if out_bias is None else out_bias.to(y.dtype))


def layer_norm(a: Arguments) -> Any:
    """mamba-ssm's `layer_norm_fn`: the residual added, then the norm; with `prenorm` also the sum.

    Raises:
        UsageError: dropout, a second branch, or scaled rows.
    """
    a.refuse("layer_norm_fn", x1=None, weight1=None, bias1=None, dropout_p=0.0, rowscale=None,
             return_dropout_mask=False, out=None, residual_out=None)  # fmt: skip
    x, residual = a["x"], a["residual"]
    total = x if residual is None else x.to(residual.dtype) + residual
    if a["residual_in_fp32"]:
        total = total.float()
    weight = a["weight"]
    if a["zero_centered_weight"]:
        weight = weight + 1.0
    y = _normed(total, weight, a["bias"], a["eps"], rms=bool(a["is_rms_norm"])).to(a["out_dtype"] or x.dtype)
    return (y, total) if a["prenorm"] else y


def rms_norm(a: Arguments) -> Any:
    """mamba-ssm's `rms_norm_fn`: as `layer_norm` without the mean."""
    return layer_norm(Arguments(a, is_rms_norm=True))


def _scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, z: Tensor | None,
    delta_bias: Tensor | None, delta_softplus: bool, return_last_state: bool = False,
) -> Any:  # fmt: skip
    """mamba-ssm's general scan, by the operator or by its definition."""
    if not _DEFINITION.get():
        return selective_scan(
            u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state=return_last_state
        )
    found = mamba_scan_reference(u, delta, A, B, C, D, z, delta_bias, delta_softplus=delta_softplus)
    return found if return_last_state else found[0]


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool) -> Tensor:
    """Causal depthwise convolution of x `(B, L, D)`, weight `(D, K)`; by the operator where it has one."""
    if silu and weight.shape[1] <= MAX_TAPS and not _DEFINITION.get():
        wide = compute_dtype(x)
        own_bias = None if bias is None else bias.to(wide)[None]
        return causal_conv1d(
            x, weight.to(wide)[None], own_bias, directions=FORWARD, tokens_per_frame=1, class_token=0
        )[0]
    kernel, taps = weight.to(x.dtype)[:, None], weight.shape[1]
    padded = F.pad(x.transpose(1, 2), (taps - 1, 0))
    y = F.conv1d(padded, kernel, None if bias is None else bias.to(x.dtype), groups=x.shape[2])
    return (F.silu(y) if silu else y).transpose(1, 2)


def _fused_scan(a: Arguments, u: Tensor, delta: Tensor, BC: Tensor, z: Tensor) -> Tensor:
    """One node: softplus and gate inside, both directions where A_b is given; `(B, L, D)`."""
    wide = compute_dtype(u)
    rates = [a["A"]] if a["A_b"] is None else [a["A"], a["A_b"]]
    count = len(rates)
    u, delta, BC = (value.expand(count, *value.shape) for value in (u, delta, BC))
    D, bias = (None if v is None else v.to(wide).expand(count, -1) for v in (a["D"], a["delta_bias"]))
    return directional_selective_scan(
        u, delta, torch.stack(rates).to(wide), BC, D, bias, z,
        directions=FORWARD if count == 1 else BOTH, tokens_per_frame=1, class_token=0,
    )  # fmt: skip


def _general_scan(a: Arguments, u: Tensor, delta: Tensor, B: Tensor, C: Tensor, z: Tensor) -> Tensor:
    """Constant B or C, or no softplus: mamba-ssm's general scan, a call a direction; `(B, L, D)`."""
    u, delta, z = (value.transpose(1, 2) for value in (u, delta, z))
    B = B.transpose(1, 2) if a["B"] is None else a["B"]
    C = C.transpose(1, 2) if a["C"] is None else a["C"]
    D, bias, softplus = a["D"], a["delta_bias"], bool(a["delta_softplus"])
    y: Tensor = _scan(u, delta, a["A"], B, C, D, z, bias, softplus)
    if a["A_b"] is not None:
        u, delta, z = (value.flip(-1) for value in (u, delta, z))
        B, C = (value.flip(-1) if value.dim() > 2 else value for value in (B, C))  # constants have no order
        backward: Tensor = _scan(u, delta, a["A_b"], B, C, D, z, bias, softplus)
        y = y + backward.flip(-1)
    return y.transpose(1, 2)


def _normed(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, *, rms: bool) -> Tensor:
    """Layer or RMS norm over the last axis, in float32 inside, in the dtype of x."""
    wide = x.to(compute_dtype(x))
    if not rms:
        wide = wide - wide.mean(-1, keepdim=True)
    y = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    if weight is not None:
        y = y * weight.to(y.dtype)
    if bias is not None:
        y = y + bias.to(y.dtype)
    return y.to(x.dtype)
