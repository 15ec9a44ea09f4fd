"""Layout of mamba-ssm and causal-conv1d: channels before tokens, one scan order, no directions.

Directions become groups of channels, and their tokens are put into each direction's own order first.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from vmexport.ops.reference import order_index
from vmexport.ops.schema import TokenOrder

KERNEL_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
"""What both packages' kernels are compiled for."""

LAST_GRID_AXIS = 65535
"""Most channels of a call, all directions together: one block for each along the grid's second axis."""


def orders(order: TokenOrder, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """`(S, L)` the token visited at each step, and the step at which each token is visited."""
    return _orders(tuple(order.directions), length, order.tokens_per_frame, order.class_token, device)


@functools.lru_cache(maxsize=32)
def _orders(
    directions: tuple[int, ...], length: int, tokens_per_frame: int, class_token: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    visited = order_index(directions, length, tokens_per_frame, class_token, device)
    return visited, visited.argsort(dim=-1)


def fold(tensor: Tensor) -> Tensor:
    """`(S, B, L, C)` to contiguous `(B, S, C, L)`, with a stride of 1 over even a single token."""
    return tensor.permute(1, 0, 3, 2).clone(memory_format=torch.contiguous_format)


def unfold(tensor: Tensor, directions: int) -> Tensor:
    """`(B, S C, L)` to `(S, B, L, C)`."""
    batch, folded, length = tensor.shape
    return tensor.view(batch, directions, folded // directions, length).permute(1, 0, 3, 2)
