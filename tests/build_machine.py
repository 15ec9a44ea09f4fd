"""A machine on which engines are built: what tests of builds change and ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fake_builder import Workshop
from fake_cuda import FakeCuda


@dataclass(frozen=True)
class BuildMachine:
    """What a test changes and asks."""

    cuda: FakeCuda
    workshop: Workshop


MakeMachine = Callable[..., BuildMachine]
