"""Models written for CUDA alone say `with torch.cuda.device(x.device)`, which refuses a CPU: let it pass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

NO_DEVICE = -1
"""As an index: change nothing, on entering and on leaving."""


def let_cpu_pass() -> Callable[[], None]:
    """While in force, `torch.cuda.device` of a CPU device does nothing; what is returned ends it."""
    guard: Any = torch.cuda.device
    before = guard.__init__

    @functools.wraps(before)
    def init(self: Any, device: Any) -> None:
        on_cpu = device in ("cpu", torch.device("cpu"))
        before(self, NO_DEVICE if on_cpu else device)

    guard.__init__ = init

    def undo() -> None:
        guard.__init__ = before

    return undo
