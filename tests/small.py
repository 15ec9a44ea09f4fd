"""Small networks with every weight random, so that no part of one can hide behind a zero or a one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vmexport.config import Architecture
from vmexport.model import VideoMamba


def small_architecture(**overrides: Any) -> Architecture:
    """Two blocks of width 32 on 4 frames of 32 pixels; 9 tokens with the class token."""
    base = Architecture(d_model=32, depth=2, frames=4, size=32, num_classes=7)
    return base.with_overrides(**overrides)


def small_model(seed: int = 0, **overrides: Any) -> VideoMamba:
    """A small network whose parameters are all disturbed by seeded noise."""
    model = VideoMamba(small_architecture(**overrides), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model.eval()


def noise(architecture: Architecture, batch: int = 1, seed: int = 1) -> NDArray[np.float32]:
    """Random clips `(B, 3, T, H, W)`."""
    shape = (batch, *architecture.clip_shape)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
