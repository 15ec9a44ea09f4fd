"""What only training adds to a model: dropped paths, recomputed activations, averaged weights.

All of it is attached from outside: the network's code, its parameters and their names stay as they are.
"""

from __future__ import annotations

import copy
import functools

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vmexport.model import VideoMamba


class DropPath:
    """Stochastic depth (Huang et al., 2016) as a forward hook of a mixer, active in training mode only.

    A sample's output `(L, d)` is dropped whole with probability `rate`, and scaled by `1 / (1 - rate)` else.

    Args:
        rate: 0 to below 1.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        """Drop samples of `output` `(B, L, d)`."""
        if not module.training or self.rate == 0:
            return output
        keep = 1 - self.rate
        kept = torch.empty(output.shape[0], 1, 1, device=output.device).bernoulli_(keep)
        return output * (kept / keep).to(output.dtype)


def attach_drop_path(model: VideoMamba, rate: float) -> None:
    """Rates grow linearly from 0 at the first block to `rate` at the last, as in Vim."""
    last = max(1, len(model.blocks) - 1)
    for place, block in enumerate(model.blocks):
        block.mixer.register_forward_hook(DropPath(rate * place / last))  # type: ignore[union-attr]


def recompute_activations(model: VideoMamba) -> None:
    """Keep only each block's input for the backward pass; dropped paths are drawn the same again."""
    for block in model.blocks:
        block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)


class MovingAverage:
    """Exponential moving average of a model's weights.

    Early on the decay is `(1 + steps) / (10 + steps)`, so that the random start is soon forgotten.

    Args:
        model: the model that is trained.
        decay: the largest decay a step.

    Attributes:
        model: a copy of the model with the averaged weights, in evaluation mode.
    """

    def __init__(self, model: VideoMamba, decay: float) -> None:
        self.decay, self.model = decay, copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: VideoMamba, step: int) -> None:
        """Move towards the weights after `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for averaged, parameter in zip(self.model.parameters(), model.parameters(), strict=True):
            averaged.lerp_(parameter, 1 - decay)
