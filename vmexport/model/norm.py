"""The norms of a block: RMSNorm, or LayerNorm for checkpoints that carry a bias."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vmexport.config import Architecture
from vmexport.ops.reference import compute_dtype


class RMSNorm(nn.Module):
    """Root mean square norm, `x / sqrt(mean(x^2) + eps) * weight`.

    It is computed in float32 (a float64 model's in float64).
    It is spelled out in elementary operators on purpose: ONNX Runtime recognises this very pattern
    (Pow, ReduceMean, Add, Sqrt, Div, Mul) and fuses it into one kernel, SimplifiedLayerNormalization.

    Args:
        width: size `d` of the last axis.
        eps: added to the mean square.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis; `(..., d)` in, float32 or float64 `(..., d)` out."""
        wide = compute_dtype(x)
        x = x.to(wide)
        return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight.to(wide)


class LayerNorm(nn.LayerNorm):
    """Layer norm over the last axis, computed in float32 (a float64 model's in float64)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis; `(..., d)` in, float32 or float64 `(..., d)` out."""
        wide = compute_dtype(x)
        weight, bias = self.weight.to(wide), self.bias.to(wide)
        return nn.functional.layer_norm(x.to(wide), self.normalized_shape, weight, bias, self.eps)


def make_norm(architecture: Architecture) -> RMSNorm | LayerNorm:
    """The norm that the architecture names, of width `d`."""
    kind = RMSNorm if architecture.norm == "rms" else LayerNorm
    return kind(architecture.d_model, architecture.norm_eps)
