"""mamba-ssm's extension `selective_scan_cuda` as its C++ declares it, computed on a CPU in float64.

The checks are those of its `selective_scan_fwd` and `selective_scan_bwd` (layout, dtypes, strides), so that a
call which passes here has the shape that the real kernels take. The arithmetic is the plain reference of
mamba-ssm's own layout and autograd through it, which shares nothing with the code under test.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vmexport.ops.mamba_reference import mamba_scan_reference

CHUNK = 2048
INPUT_TYPES = (torch.float32, torch.float16, torch.bfloat16)


class FakeMamba:
    """Stands for the module; counts its calls.

    Attributes:
        calls: names of the functions called.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def fwd(
        self, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None,
        z: Tensor | None, delta_bias: Tensor | None, delta_softplus: bool,
    ) -> list[Tensor]:  # fmt: skip
        """`out`, `x` (pairs of every chunk, only the last state filled in) and, with z, the gated `out`."""
        self.calls.append("fwd")
        _check(u, delta, A, B, C, D, delta_bias)
        if z is not None:
            assert z.dtype == u.dtype
            assert z.shape == u.shape
            _rows(z)
        wide = [None if t is None else t.double() for t in (u, delta, A, B, C, D, None, delta_bias)]
        out, state = mamba_scan_reference(*wide, delta_softplus=delta_softplus)  # type: ignore[arg-type]
        x = torch.full((*u.shape[:2], _chunks(u), 2 * A.shape[1]), torch.nan)
        x[:, :, -1, 1::2] = state.float()
        gated = [] if z is None else [(out * torch.nn.functional.silu(z.double())).to(u.dtype)]
        return [out.to(u.dtype), x, *gated]

    def bwd(
        self, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None,
        z: Tensor | None, delta_bias: Tensor | None, dout: Tensor, x: Tensor | None, out: Tensor | None,
        dz: Tensor | None, delta_softplus: bool, recompute_out_z: bool,
    ) -> list[Tensor | None]:  # fmt: skip
        """du, ddelta, dA, dB, dC, dD, ddelta_bias; absent parameters have no gradient."""
        self.calls.append("bwd")
        _check(u, delta, A, B, C, D, delta_bias)
        assert z is None
        assert out is None
        assert dz is None
        assert not recompute_out_z
        assert dout.dtype == u.dtype
        assert dout.shape == u.shape
        _rows(dout)
        assert x is not None or _chunks(u) == 1
        if x is not None:
            assert x.dtype == A.dtype
            assert x.is_contiguous()
            assert x.shape == (*u.shape[:2], _chunks(u), 2 * A.shape[1])
        given = (u, delta, A, B, C, D, delta_bias)
        with torch.enable_grad():
            leaves = [None if t is None else t.detach().double().requires_grad_() for t in given]
            a, b, c, d, e, skip, bias = leaves
            y, _ = mamba_scan_reference(a, b, c, d, e, skip, None, bias, delta_softplus=delta_softplus)  # type: ignore[arg-type]
            present = [leaf for leaf in leaves if leaf is not None]
            grads = iter(torch.autograd.grad(y, present, dout.double()))
        return [None if t is None else next(grads).to(t.dtype) for t in given]


def _chunks(u: Tensor) -> int:
    return -(-u.shape[2] // CHUNK)


def _rows(tensor: Tensor) -> None:
    """TORCH_CHECK(stride(-1) == 1 || size(-1) == 1)."""
    assert tensor.stride(-1) == 1 or tensor.shape[-1] == 1


def _check(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, bias: Tensor | None
) -> None:
    """The checks that both functions begin with."""
    assert u.dtype in INPUT_TYPES
    assert A.dtype == torch.float32
    batch, dim, length = u.shape
    states = A.shape[1]
    assert A.shape == (dim, states)
    assert delta.dtype == u.dtype
    assert delta.shape == u.shape
    _rows(u)
    _rows(delta)
    assert states <= 256
    assert B.dim() == 4, "input-dependent"
    groups = B.shape[1]
    assert dim % groups == 0
    for matrix in (B, C):
        assert matrix.dtype == u.dtype
        assert matrix.shape == (batch, groups, states, length)
        _rows(matrix)
    for vector in (D, bias):
        if vector is not None:
            assert vector.dtype == torch.float32
            assert vector.shape == (dim,)
            _rows(vector)
