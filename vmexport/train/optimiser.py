"""AdamW with the parameters that must not decay set apart, and the learning rate of a step."""

from __future__ import annotations

import math

import torch
from torch import nn

from vmexport.train.recipe import Recipe

WITHOUT_DECAY = ("bias", "A_log", "D", "cls_token", "position", "position_space", "position_time")
"""Last part of the names of parameters without weight decay; all norms' weights too. Source: Mamba marks
`A_log` and `D` so, Vim the class token and the positional embeddings, biases and norms are custom."""


def decays(name: str) -> bool:
    """Whether a parameter of this name has weight decay."""
    *owners, last = name.split(".")
    return not (
        last in WITHOUT_DECAY or last.endswith("_bias") or (bool(owners) and owners[-1].endswith("norm"))
    )


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over two groups: with and without weight decay."""
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if decays(name)], "weight_decay": recipe.weight_decay},
        {"params": [p for name, p in named if not decays(name)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas)


def learning_rate(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """The rate of a step: linear warm-up, then half a cosine (paper section 5.1).

    It follows from the step alone, so a resumed run has nothing to restore.

    Args:
        step: number of the step, from 0.
        steps_per_epoch: steps of an epoch.
        recipe: rates and lengths.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = min(round(recipe.warmup_epochs * steps_per_epoch), total)
    low, high = recipe.minimum_rate, recipe.learning_rate
    if step < warmup:
        return low + (high - low) * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup - 1)
    return low + (high - low) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all groups a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
