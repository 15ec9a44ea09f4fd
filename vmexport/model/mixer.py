"""The mixer: one shared projection in, a selective scan for each direction, one shared projection out."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vmexport.config import Architecture
from vmexport.config.architecture import SCAN_ORDERS
from vmexport.ops import causal_conv1d, directional_selective_scan
from vmexport.ops.reference import compute_dtype

DELTA_RANGE = (1e-3, 0.1)
DELTA_FLOOR = 1e-4
"""Where the initial step sizes lie, as Mamba draws them."""


def order_attributes(architecture: Architecture) -> dict[str, Any]:
    """The attributes `directions`, `tokens_per_frame` and `class_token` that both operators take.

    Only a class token in front has a place of its own in the scan orders. One in the middle is visited as a
    token like any other, so the sequence then counts as plain and as a single frame.
    """
    plain = architecture.cls_position == "middle"
    return {
        "directions": tuple(SCAN_ORDERS.index(name) for name in architecture.directions),
        "tokens_per_frame": architecture.tokens if plain else architecture.tokens_per_frame,
        "class_token": int(architecture.cls_position == "first"),
    }


class Mixer(nn.Module):
    """Spatio-temporal forward and backward state space mixer (paper section 4.4).

    The directions share `in_proj` and `out_proj` and own everything else, stacked on a leading axis of size
    `S` (Vim's "bimamba v2"). Letters: `d` width, `D` inner width, `N` states, `R` rank of delta, `K` taps.

    Args:
        architecture: sizes, scan orders and the scale of the directions' sum.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        s, inner, states, rank = len(a.directions), a.d_inner, a.d_state, a.rank
        self.states, self.rank, self.scale, self.depth = states, rank, a.scale, a.depth
        self.order = order_attributes(a)
        self.in_proj = nn.Linear(a.d_model, 2 * inner, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(s, inner, a.d_conv))
        self.conv_bias = nn.Parameter(torch.empty(s, inner))
        self.x_proj = nn.Parameter(torch.empty(s, rank + 2 * states, inner))
        self.dt_proj = nn.Parameter(torch.empty(s, inner, rank))
        self.dt_bias = nn.Parameter(torch.empty(s, inner))
        self.A_log = nn.Parameter(torch.empty(s, inner, states))
        self.D = nn.Parameter(torch.empty(s, inner))
        self.out_proj = nn.Linear(inner, a.d_model, bias=False)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new weights as Mamba's reference module does, each direction by itself.

        `A_log = log(1..N)`, `D = 1`, delta's bias the inverse softplus of a log-uniform draw from 1e-3 to
        0.1, `dt_proj` uniform within `R^-1/2`; PyTorch's default, uniform within `fan_in^-1/2`, for the other
        projections and the convolution, and `out_proj` divided by the square root of the depth.

        Args:
            generator: of the draw; None takes torch's global one.
        """
        inner, taps = self.D.shape[-1], self.conv_weight.shape[-1]
        for parameter, fan_in in (
            (self.in_proj.weight, self.in_proj.in_features),
            (self.x_proj, inner),
            (self.dt_proj, self.rank),
            (self.conv_weight, taps),
            (self.conv_bias, taps),
            (self.out_proj.weight, inner * self.depth),
        ):
            bound = 1 / math.sqrt(fan_in)
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        low, high = map(math.log, DELTA_RANGE)
        delta = torch.empty_like(self.dt_bias).uniform_(low, high, generator=generator).exp()
        delta = delta.clamp(min=DELTA_FLOOR)
        self.dt_bias.copy_(delta + torch.log(-torch.expm1(-delta)))  # inverse of softplus
        self.A_log.copy_(torch.arange(1, self.states + 1, dtype=torch.float32).log().expand_as(self.A_log))
        nn.init.ones_(self.D)

    def forward(self, hidden: Tensor) -> Tensor:
        """Mix along the tokens; `(B, L, d)` in and out, in the dtype of the projections."""
        x, z = self.in_proj(hidden).chunk(2, dim=-1)  # (B, L, D) each
        wide = compute_dtype(x)
        weight, bias = self.conv_weight.to(wide), self.conv_bias.to(wide)
        u = causal_conv1d(x, weight, bias, **self.order)  # (S, B, L, D)
        mixed = torch.matmul(u, self.x_proj.transpose(1, 2).unsqueeze(1))  # (S, B, L, R + 2N)
        low_rank, bc = torch.split(mixed, [self.rank, 2 * self.states], dim=-1)
        delta = torch.matmul(low_rank, self.dt_proj.transpose(1, 2).unsqueeze(1))  # (S, B, L, D)
        y = directional_selective_scan(
            u, delta, -torch.exp(self.A_log.to(wide)), bc, self.D.to(wide), self.dt_bias.to(wide), z,
            **self.order, scale=self.scale,
        )  # fmt: skip
        return self.out_proj(y)  # type: ignore[no-any-return]
