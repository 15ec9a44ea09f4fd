"""`selective_scan` with mamba-ssm's signature, layout `(B, D, L)` and meaning, for other people's models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, overload

import torch
from torch import Tensor

from vmexport.errors import UsageError
from vmexport.ops.functional import directional_selective_scan
from vmexport.ops.mamba_reference import mamba_scan_reference
from vmexport.ops.reference import compute_dtype
from vmexport.ops.reference_backward import ScanTensors
from vmexport.ops.schema import ScanOrder
from vmexport.ops.torch_checks import DTYPES, check_devices, check_tensors
from vmexport.ops.torch_ops import selective_scan_op
from vmexport.ops.validate import check_flag, refuse

_OPERATOR = "selective_scan"


@overload
def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = ..., z: Tensor | None = ...,
    delta_bias: Tensor | None = ..., delta_softplus: bool = ..., return_last_state: Literal[False] = ...,
) -> Tensor: ...  # fmt: skip
@overload
def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = ..., z: Tensor | None = ...,
    delta_bias: Tensor | None = ..., delta_softplus: bool = ..., *, return_last_state: Literal[True],
) -> tuple[Tensor, Tensor]: ...  # fmt: skip
@overload
def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = ..., z: Tensor | None = ...,
    delta_bias: Tensor | None = ..., delta_softplus: bool = ..., return_last_state: bool = ...,
) -> Tensor | tuple[Tensor, Tensor]: ...  # fmt: skip
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """mamba-ssm's `selective_scan_fn`: same arguments, same result, any device, native on a CPU.

    Letters: `B` batch, `D` channels, `L` tokens, `N` states, `G` groups of `D / G` channels sharing B and C.
    Sums and states are float32 (float64 where u is float64), whatever mixture of dtypes comes in.

    Args:
        u: `(B, D, L)` floating.
        delta: `(B, D, L)`.
        A: `(D, N)` real or complex.
        B: `(D, N)` constant, `(B, N, L)`, or `(B, G, N, L)`; with a complex A real and imaginary parts
            alternate along a last axis of `2L`, or the constant is complex.
        C: like B.
        D: `(D,)` skip.
        z: `(B, D, L)`; the result is multiplied by SiLU(z).
        delta_bias: `(D,)`.
        delta_softplus: apply softplus to `delta + delta_bias`.
        return_last_state: also return the state after the last token.

    Returns:
        `(B, D, L)` in u's dtype; with `return_last_state` also `(B, D, N)`, complex where A is.
        Gradients flow through both.

    Raises:
        ShapeError: a shape or dtype does not fit; names the tensor, expected and got.
        UsageError: while exporting to ONNX, something that the operator's node cannot express.
    """
    delta_softplus = check_flag(_OPERATOR, "delta_softplus", delta_softplus)
    return_last_state = check_flag(_OPERATOR, "return_last_state", return_last_state)
    call = _Call(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
    _check(call)
    native = not A.is_complex() and B.dim() >= 3 and C.dim() >= 3
    if torch.onnx.is_in_onnx_export():
        if not native or not delta_softplus or return_last_state:
            raise UsageError(
                "this selective_scan cannot become an ONNX node",
                "the node takes real, input-dependent B and C, applies softplus, and returns no state",
                "call it with delta_softplus=True and return_last_state=False",
            )
        return _by_groups(call)[0]
    out, last_state = _by_groups(call) if native else mamba_scan_reference(
        u, delta, A, B, C, D, z, delta_bias, delta_softplus=delta_softplus
    )  # fmt: skip
    return (out, last_state) if return_last_state else out


@dataclass(frozen=True)
class _Call:
    """The arguments of one call."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None
    delta_softplus: bool


def _by_groups(call: _Call) -> tuple[Tensor, Tensor]:
    """The operator, once for each group of channels; out `(B, D, L)` and last state `(B, D, N)`."""
    dtypes = {t.dtype for t in (call.u, call.delta, call.B, call.C, call.z) if t is not None}
    wide = compute_dtype(call.u)
    common = call.u.dtype if len(dtypes) == 1 else wide
    B, C = (t.unsqueeze(1) if t.dim() == 3 else t for t in (call.B, call.C))  # (B, G, N, L)
    groups = math.lcm(B.shape[1], C.shape[1])
    B, C = (t.repeat_interleave(groups // t.shape[1], dim=1) for t in (B, C))
    bc = torch.cat([B.to(common), C.to(common)], dim=2).transpose(2, 3)  # (B, G, L, 2N)
    u, delta = (t.to(common).transpose(1, 2) for t in (call.u, call.delta))  # (B, L, D)
    z = None if call.z is None else call.z.to(common).transpose(1, 2)
    D, bias = (None if t is None else t.to(wide) for t in (call.D, call.delta_bias))
    size = call.u.shape[1] // groups
    outs, states = [], []
    for group in range(groups):
        part = slice(group * size, (group + 1) * size)
        # (1, B, L, D/G), (1, D/G, N), (1, B, L, 2N), (1, D/G) or (B, L, D/G)
        tensors = (
            u[None, ..., part], delta[None, ..., part], call.A[None, part].to(wide), bc[None, :, group],
            None if D is None else D[None, part], None if bias is None else bias[None, part],
            None if z is None else z[..., part],
        )  # fmt: skip
        out, state = _one_direction(tensors, call.delta_softplus)
        outs.append(out)
        states.append(state)
    out = torch.cat(outs, dim=2) if groups > 1 else outs[0]
    state = torch.cat(states, dim=1) if groups > 1 else states[0]
    return out.transpose(1, 2).to(call.u.dtype), state


def _one_direction(tensors: ScanTensors, delta_softplus: bool) -> tuple[Tensor, Tensor]:
    """The operator as Mamba's ordinary scan: y `(B, L, D)` and the last state `(B, D, N)`."""
    if torch.onnx.is_in_onnx_export():
        y = directional_selective_scan(
            *tensors, directions=(ScanOrder.FORWARD,), tokens_per_frame=1, class_token=0
        )
        return y, y
    y, state = selective_scan_op(*tensors, (int(ScanOrder.FORWARD),), 1, 0, 1.0, delta_softplus)
    return y, state[0]


def _check(call: _Call) -> None:
    """Shapes and kinds in mamba-ssm's layout."""
    u, A = call.u, call.A
    needed = {"u": u, "delta": call.delta, "A": A, "B": call.B, "C": call.C}
    optional = {"D": call.D, "z": call.z, "delta_bias": call.delta_bias}
    check_tensors(_OPERATOR, needed, optional)
    check_devices(_OPERATOR, {**needed, **optional})
    if u.dim() != 3:
        refuse(_OPERATOR, "u", "3 axes (B, D, L)", tuple(u.shape))
    if u.dtype not in DTYPES:
        refuse(_OPERATOR, "u", "a floating dtype", u.dtype)
    if A.dim() != 2 or A.shape[0] != u.shape[1]:
        refuse(_OPERATOR, "A", f"shape ({u.shape[1]}, N)", tuple(A.shape))
    expected: dict[str, tuple[Tensor | None, tuple[int, ...]]] = {
        "delta": (call.delta, tuple(u.shape)),
        "z": (call.z, tuple(u.shape)),
        "D": (call.D, (u.shape[1],)),
        "delta_bias": (call.delta_bias, (u.shape[1],)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            refuse(_OPERATOR, name, f"shape {shape}", tuple(tensor.shape))
        if tensor is not None and tensor.is_complex():
            refuse(_OPERATOR, name, "a real dtype", tensor.dtype)
    for name, tensor in (("B", call.B), ("C", call.C)):
        _check_input_matrix(call, name, tensor)


def _check_input_matrix(call: _Call, name: str, tensor: Tensor) -> None:
    """B or C: constant, input-dependent, or input-dependent in groups."""
    batch, channels, length = call.u.shape
    states = call.A.shape[1]
    last = 2 * length if call.A.is_complex() else length
    if tensor.is_complex() and not (call.A.is_complex() and tensor.dim() == 2):
        refuse(_OPERATOR, name, "a real dtype (pairs of real numbers stand for complex ones)", tensor.dtype)
    shape = tuple(tensor.shape)
    grouped = len(shape) == 4 and shape[1] > 0 and channels % shape[1] == 0
    if grouped:
        shape = (shape[0], *shape[2:])
    if shape not in ((channels, states), (batch, states, last)) or (tensor.dim() == 4) != grouped:
        dependent = f"({batch}, {states}, {last}) or ({batch}, G, {states}, {last})"
        allowed = f"shape ({channels}, {states}), {dependent} with G a divisor of {channels}"
        refuse(_OPERATOR, name, allowed, tuple(tensor.shape))
