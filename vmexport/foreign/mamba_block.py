"""`Mamba`: mamba-ssm's block as a module of the same arguments, parameters and meaning, on any device."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vmexport.errors import UsageError
from vmexport.foreign.published import mamba_inner_fn


class Mamba(nn.Module):
    """mamba-ssm's `Mamba` (its `modules/mamba_simple.py`): state dicts go both ways.

    Args:
        d_model: width of the sequence.
        d_state: N.
        d_conv: taps of the convolution.
        expand: inner width over d_model.
        dt_rank: rank of delta's projection; "auto" is d_model / 16, rounded up.
        dt_min: smallest initial delta.
        dt_max: largest initial delta.
        dt_init: "random" or "constant", for delta's projection.
        dt_scale: factor on its spread.
        dt_init_floor: lower bound of the initial delta.
        conv_bias: whether the convolution has one.
        bias: whether the in- and out-projection have one.
        use_fast_path: taken and ignored: there is one path.
        layer_idx: taken and kept, for decoders.
        device: of the parameters.
        dtype: of the parameters.
    """

    def __init__(
        self, d_model: int, d_state: int = 16, d_conv: int = 4, expand: float = 2,
        dt_rank: int | str = "auto", dt_min: float = 0.001, dt_max: float = 0.1, dt_init: str = "random",
        dt_scale: float = 1.0,
        dt_init_floor: float = 1e-4, conv_bias: bool = True, bias: bool = False, use_fast_path: bool = True,
        layer_idx: int | None = None, device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        self.d_model, self.d_state, self.d_conv, self.expand = d_model, d_state, d_conv, expand
        self.d_inner = int(expand * d_model)
        self.dt_rank = math.ceil(d_model / 16) if isinstance(dt_rank, str) else dt_rank
        self.use_fast_path, self.layer_idx = use_fast_path, layer_idx
        inner = self.d_inner
        self.in_proj = nn.Linear(d_model, 2 * inner, bias=bias, **made)
        self.conv1d = nn.Conv1d(
            inner, inner, d_conv, groups=inner, padding=d_conv - 1, bias=conv_bias, **made
        )
        self.x_proj = nn.Linear(inner, self.dt_rank + 2 * d_state, bias=False, **made)
        self.dt_proj = nn.Linear(self.dt_rank, inner, bias=True, **made)
        rates = torch.arange(1, d_state + 1, dtype=torch.float32, device=device).repeat(inner, 1)
        self.A_log = nn.Parameter(rates.log())
        self.D = nn.Parameter(torch.ones(inner, device=device))
        self.out_proj = nn.Linear(inner, d_model, bias=bias, **made)
        self._start_delta(dt_min, dt_max, dt_init, dt_scale, dt_init_floor)

    @torch.no_grad()
    def _start_delta(self, low: float, high: float, init: str, scale: float, floor: float) -> None:
        """Draw delta's bias so that softplus of it spreads evenly, in logarithm, between the two bounds."""
        spread = self.dt_rank**-0.5 * scale
        if init == "constant":
            self.dt_proj.weight.fill_(spread)
        else:
            self.dt_proj.weight.uniform_(-spread, spread)
        even = torch.rand(self.d_inner, device=self.dt_proj.bias.device)
        delta = torch.exp(even * (math.log(high) - math.log(low)) + math.log(low)).clamp(min=floor)
        self.dt_proj.bias.copy_(delta + torch.log(-torch.expm1(-delta)))

    def forward(self, hidden_states: Tensor, inference_params: None = None) -> Tensor:
        """`(B, L, d_model)` in and out.

        Args:
            hidden_states: `(B, L, d_model)`.
            inference_params: None.

        Raises:
            UsageError: decoding token by token is asked for.
        """
        if inference_params is not None:
            raise UsageError(
                "this stand-in of mamba-ssm's block decodes nothing", "vision models take whole sequences"
            )
        return mamba_inner_fn(
            self.in_proj(hidden_states).transpose(1, 2),
            self.conv1d.weight,
            self.conv1d.bias,
            self.x_proj.weight,
            self.dt_proj.weight,
            self.out_proj.weight,
            self.out_proj.bias,
            -torch.exp(self.A_log.float()),
            D=self.D.float(),
            delta_bias=self.dt_proj.bias.float(),
            delta_softplus=True,
        )
