"""The functions of mamba-ssm, Vim's copy of it, and causal-conv1d under their published names and signatures.

They stand in where those packages are not installed (`vmexport.foreign.stand_ins`) and compute by this
package's operators.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from vmexport.errors import UsageError
from vmexport.foreign import kernels
from vmexport.foreign.calls import Arguments


def selective_scan_fn(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None,
    z: Tensor | None = None, delta_bias: Tensor | None = None, delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Any:  # fmt: skip
    """mamba-ssm's; see `vmexport.ops.selective_scan`."""
    return kernels.scan(Arguments(locals()))


def mamba_inner_fn(
    xz: Tensor, conv1d_weight: Tensor, conv1d_bias: Tensor | None, x_proj_weight: Tensor,
    delta_proj_weight: Tensor, out_proj_weight: Tensor, out_proj_bias: Tensor | None, A: Tensor,
    B: Tensor | None = None, C: Tensor | None = None, D: Tensor | None = None,
    delta_bias: Tensor | None = None, B_proj_bias: Tensor | None = None, C_proj_bias: Tensor | None = None,
    delta_softplus: bool = True, checkpoint_lvl: int = 1,
    b_rms_weight: Tensor | None = None, c_rms_weight: Tensor | None = None,
    dt_rms_weight: Tensor | None = None, b_c_dt_rms_eps: float = 1e-6,
) -> Tensor:  # fmt: skip
    """mamba-ssm's; see `vmexport.foreign.kernels.mamba_inner`."""
    return kernels.mamba_inner(Arguments(locals()))


def mamba_inner_fn_no_out_proj(
    xz: Tensor, conv1d_weight: Tensor, conv1d_bias: Tensor | None, x_proj_weight: Tensor,
    delta_proj_weight: Tensor, A: Tensor, B: Tensor | None = None, C: Tensor | None = None,
    D: Tensor | None = None, delta_bias: Tensor | None = None, B_proj_bias: Tensor | None = None,
    C_proj_bias: Tensor | None = None, delta_softplus: bool = True, checkpoint_lvl: int = 1,
) -> Tensor:  # fmt: skip
    """Vim's; see `vmexport.foreign.kernels.mamba_inner`."""
    return kernels.mamba_inner(Arguments(locals()))


def bimamba_inner_fn(
    xz: Tensor, conv1d_weight: Tensor, conv1d_bias: Tensor | None, x_proj_weight: Tensor,
    delta_proj_weight: Tensor, out_proj_weight: Tensor, out_proj_bias: Tensor | None, A: Tensor, A_b: Tensor,
    B: Tensor | None = None, C: Tensor | None = None, D: Tensor | None = None,
    delta_bias: Tensor | None = None, B_proj_bias: Tensor | None = None, C_proj_bias: Tensor | None = None,
    delta_softplus: bool = True, checkpoint_lvl: int = 1,
) -> Tensor:  # fmt: skip
    """Vim's; see `vmexport.foreign.kernels.mamba_inner`."""
    return kernels.mamba_inner(Arguments(locals()))


def causal_conv1d_fn(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, seq_idx: Tensor | str | None = None,
    initial_states: Tensor | None = None, return_final_states: bool = False,
    final_states_out: Tensor | None = None, activation: str | None = None,
) -> Tensor:  # fmt: skip
    """causal-conv1d's, and its first versions', whose fourth argument was the activation."""
    if isinstance(seq_idx, str):
        seq_idx, activation = None, seq_idx
    return kernels.convolution(Arguments(locals()))


def layer_norm_fn(
    x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None = None, *args: Any, **kwargs: Any
) -> Any:
    """mamba-ssm's; its first versions went on with eps, later ones with x1."""
    return kernels.layer_norm(_norm_arguments(x, weight, bias, residual, args, kwargs))


def rms_norm_fn(
    x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None = None, *args: Any, **kwargs: Any
) -> Any:
    """mamba-ssm's; its first versions went on with eps, later ones with x1."""
    return kernels.rms_norm(_norm_arguments(x, weight, bias, residual, args, kwargs))


def causal_conv1d_update(*_: Any, **__: Any) -> NoReturn:
    """A step of decoding, which no vision model takes.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        "causal_conv1d_update has no stand-in", "it decodes token by token; vision models do not"
    )


def selective_state_update(*_: Any, **__: Any) -> NoReturn:
    """A step of decoding, which no vision model takes.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        "selective_state_update has no stand-in", "it decodes token by token; vision models do not"
    )


class RMSNorm(nn.Module):
    """mamba-ssm's RMS norm over the last axis; its weight is called `weight`."""

    def __init__(
        self, hidden_size: int, eps: float = 1e-5, dropout_p: float = 0.0,
        device: torch.device | str | None = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.eps, self.dropout_p = eps, dropout_p
        self.weight = nn.Parameter(torch.ones(hidden_size, device=device, dtype=dtype))
        self.register_parameter("bias", None)

    def forward(
        self, x: Tensor, residual: Tensor | None = None, prenorm: bool = False, residual_in_fp32: bool = False
    ) -> Any:
        """See `rms_norm_fn`."""
        dropout = self.dropout_p if self.training else 0.0
        return rms_norm_fn(x, self.weight, None, residual, eps=self.eps, dropout_p=dropout, prenorm=prenorm,
                           residual_in_fp32=residual_in_fp32)  # fmt: skip


_FIRST_NORMS = ("eps", "prenorm", "residual_in_fp32", "is_rms_norm")
_LATER_NORMS = ("x1", "weight1", "bias1", "eps", "dropout_p", "rowscale", "prenorm", "residual_in_fp32")


def _norm_arguments(
    x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None, args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Arguments:  # fmt: skip
    """Arguments of a norm; the fifth tells the first versions (eps, a number) from later ones (x1)."""
    names = _FIRST_NORMS if args and isinstance(args[0], float) else _LATER_NORMS
    given = dict(zip(names, args, strict=False))
    return Arguments(
        {"eps": 1e-6, **given, **kwargs, "x": x, "weight": weight, "bias": bias, "residual": residual}
    )
