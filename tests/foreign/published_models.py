"""Entry points as published models have them: same names and signatures, kernels that this machine lacks.

A forward of an autograd class calls a compiled extension; here it raises as a missing one would. Beside each
stands the plain definition that the models' authors give (`*_ref`), under a name that no patch knows.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from vmexport.ops.mamba_reference import mamba_scan_reference


def extension(*_: Any, **__: Any) -> Any:
    """A CUDA extension that is not here."""
    raise RuntimeError("erroneously tracing into a custom kernel")


def apply(function: Any, *args: Any, **kwargs: Any) -> Any:
    """An autograd class, called."""
    return function.apply(*args, **kwargs)


def plain_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None,
    z: Tensor | None = None, delta_bias: Tensor | None = None, delta_softplus: bool = False,
) -> Tensor:  # fmt: skip
    """The definition, in mamba-ssm's layout."""
    return mamba_scan_reference(u, delta, A, B, C, D, z, delta_bias, delta_softplus=delta_softplus)[0]


# mamba-ssm


class SelectiveScanFn(torch.autograd.Function):
    """mamba-ssm's."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Any = None, z: Any = None,
        delta_bias: Any = None, delta_softplus: bool = False, return_last_state: bool = False,
    ) -> Any:  # fmt: skip
        return extension()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return extension()


def selective_scan_fn(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Any = None, z: Any = None,
    delta_bias: Any = None, delta_softplus: bool = False, return_last_state: bool = False,
) -> Any:  # fmt: skip
    """mamba-ssm's wrapper."""
    return apply(SelectiveScanFn, u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state)


bound_early = SelectiveScanFn.apply


# VMamba: no z, so the seventh argument is the bias


class SelectiveScanOflex(torch.autograd.Function):
    """VMamba's."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Any = None,
        delta_bias: Any = None, delta_softplus: bool = False, nrows: int = 1, backnrows: int = 1,
        oflex: bool = True,
    ) -> Any:  # fmt: skip
        return extension()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return extension()


class SelectiveScanCuda(torch.autograd.Function):
    """VMamba's later one."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Any = None,
        delta_bias: Any = None, delta_softplus: bool = False, oflex: bool = True, backend: Any = None,
    ) -> Any:  # fmt: skip
        return extension()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return extension()


def build_selective_scan_fn() -> Any:
    """mamba variants build class and wrapper inside of a function."""

    class SelectiveScanFn(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Any = None, z: Any = None,
            delta_bias: Any = None, delta_softplus: bool = False, return_last_state: bool = False,
            nrows: int = 1, backnrows: int = -1,
        ) -> Any:  # fmt: skip
            return extension()

    def selective_scan_fn(*args: Any, **kwargs: Any) -> Any:
        return apply(SelectiveScanFn, *args, **kwargs)

    return selective_scan_fn


built = build_selective_scan_fn()


# transformers: other names, and keywords for kernels


def mamba_selective_scan(
    hidden_states: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Any = None, z: Any = None,
    delta_bias: Any = None, delta_softplus: bool = False, return_last_state: bool = False,
    use_mambapy: bool = False, use_associative_scan: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """transformers' loop."""
    return extension()


def selective_scan_torch(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Any = None, delta_bias: Any = None,
    delta_softplus: bool = True, oflex: bool = True, *args: Any, **kwargs: Any,
) -> Any:  # fmt: skip
    """VMamba's loop in PyTorch, with a backend let through by `*args`."""
    return extension()


# causal-conv1d, now and in its first versions


class CausalConv1dFn(torch.autograd.Function):
    """causal-conv1d's."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Any = None, seq_idx: Any = None,
        initial_states: Any = None, return_final_states: bool = False,
        final_states_out: Any = None, activation: Any = None,
    ) -> Any:  # fmt: skip
        return extension()


def causal_conv1d_fn(x: Tensor, weight: Tensor, bias: Any = None, activation: Any = None) -> Any:
    """causal-conv1d's first wrapper."""
    return extension()


# mamba-ssm's and Vim's fused blocks


class MambaInnerFn(torch.autograd.Function):
    """mamba-ssm's."""

    @staticmethod
    def forward(
        ctx: Any, xz: Tensor, conv1d_weight: Tensor, conv1d_bias: Any, x_proj_weight: Tensor,
        delta_proj_weight: Tensor, out_proj_weight: Tensor, out_proj_bias: Any, A: Tensor, B: Any = None,
        C: Any = None, D: Any = None, delta_bias: Any = None, B_proj_bias: Any = None,
        C_proj_bias: Any = None, delta_softplus: bool = True, checkpoint_lvl: int = 1,
        b_rms_weight: Any = None, c_rms_weight: Any = None, dt_rms_weight: Any = None,
        b_c_dt_rms_eps: float = 1e-6,
    ) -> Any:  # fmt: skip
        return extension()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return extension()


class MambaInnerFnNoOutProj(torch.autograd.Function):
    """Vim's."""

    @staticmethod
    def forward(
        ctx: Any, xz: Tensor, conv1d_weight: Tensor, conv1d_bias: Any, x_proj_weight: Tensor,
        delta_proj_weight: Tensor, A: Tensor, B: Any = None, C: Any = None, D: Any = None,
        delta_bias: Any = None, B_proj_bias: Any = None, C_proj_bias: Any = None, delta_softplus: bool = True,
        checkpoint_lvl: int = 1,
    ) -> Any:  # fmt: skip
        return extension()


def bimamba_inner_fn(
    xz: Tensor, conv1d_weight: Tensor, conv1d_bias: Any, x_proj_weight: Tensor, delta_proj_weight: Tensor,
    out_proj_weight: Tensor, out_proj_bias: Any, A: Tensor, A_b: Tensor, B: Any = None, C: Any = None,
    D: Any = None, delta_bias: Any = None, B_proj_bias: Any = None, C_proj_bias: Any = None,
    delta_softplus: bool = True, checkpoint_lvl: int = 1,
) -> Any:  # fmt: skip
    """Vim's, of both directions."""
    return extension()


# norms of triton


def rms_norm_fn(
    x: Tensor, weight: Tensor, bias: Any, residual: Any = None, x1: Any = None, weight1: Any = None,
    bias1: Any = None, eps: float = 1e-6, dropout_p: float = 0.0, rowscale: Any = None, prenorm: bool = False,
    residual_in_fp32: bool = False, return_dropout_mask: bool = False,
) -> Any:  # fmt: skip
    """mamba-ssm's."""
    return extension()


class LayerNormFn(torch.autograd.Function):
    """mamba-ssm's first one."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Any, residual: Any = None, eps: float = 1e-6,
        prenorm: bool = False, residual_in_fp32: bool = False, is_rms_norm: bool = False,
    ) -> Any:  # fmt: skip
        return extension()


# something else of the same name


def selective_scan_ref(x: Tensor, chunk_size: int) -> Any:
    """Nothing that a patch knows."""
    return x * chunk_size


class Weights(nn.Module):
    """Random operands of a block of `channels` inner channels."""

    def __init__(self, channels: int = 6, states: int = 4, rank: int = 2, taps: int = 4) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(3)

        def normal(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=draw))

        self.conv, self.conv_bias = normal(channels, 1, taps), normal(channels)
        self.x_proj, self.dt_proj = normal(rank + 2 * states, channels), normal(channels, rank)
        self.out_proj = normal(3, channels)
        self.A, self.A_b = (nn.Parameter(-torch.rand(channels, states, generator=draw)) for _ in range(2))
        self.D, self.dt_bias = normal(channels), normal(channels)

    def plain(self, xz: Tensor, both: bool = False) -> Tensor:
        """The fused block by its definition, before the out-projection: `(B, L, D)`."""
        x, z = xz.chunk(2, dim=1)
        padded = F.pad(x, (self.conv.shape[-1] - 1, 0))
        u = F.silu(F.conv1d(padded, self.conv, self.conv_bias, groups=x.shape[1]))
        projected = F.linear(u.transpose(1, 2), self.x_proj)
        rank, states = self.dt_proj.shape[1], self.A.shape[1]
        delta = F.linear(projected[..., :rank], self.dt_proj).transpose(1, 2)
        B, C = (part.transpose(1, 2) for part in (projected[..., rank:-states], projected[..., -states:]))
        y = plain_scan(u, delta, self.A, B, C, self.D, z, self.dt_bias, True)
        if both:
            u, delta, B, C, z = (value.flip(-1) for value in (u, delta, B, C, z))
            y = y + plain_scan(u, delta, self.A_b, B, C, self.D, z, self.dt_bias, True).flip(-1)
        return y.transpose(1, 2)
