"""A warp's state: registers, predicates, and where its lanes are in the code."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LANES = 32
ALL = (1 << LANES) - 1
ZERO, UNIFORM_ZERO = 255, 63
"""Numbers of the registers that read as zero."""
SINK, UNIFORM_SINK = 256, 64
"""Rows that take what is written to those."""

Words = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]


@dataclass
class Memory:
    """What the warps of an SM see.

    Attributes:
        constants: bytes of every constant bank.
        everywhere: global memory; its address is GLOBAL_BASE (sass_machine.py).
    """

    constants: Mapping[int, bytes]
    everywhere: npt.NDArray[np.uint8]


@dataclass
class Access:
    """The last memory instruction of a warp: where it went, for its cost.

    Attributes:
        addresses: bytes, of the active lanes.
        size: bytes of a lane.
    """

    addresses: npt.NDArray[np.int64]
    size: int


class Warp:
    """32 threads: registers, predicates, and the groups of lanes with their places in the code."""

    def __init__(self, memory: Memory, shared: npt.NDArray[np.uint8], first_thread: int, block: int) -> None:
        self.memory, self.shared, self.first_thread, self.block = memory, shared, first_thread, block
        self.words: Words = np.zeros((SINK + 1, LANES), np.uint32)
        self.floats = self.words.view(np.float32)
        self.uniform: Words = np.zeros((UNIFORM_SINK + 1, LANES), np.uint32)
        self.predicates: Mask = np.zeros((9, LANES), np.bool_)
        self.uniform_predicates: Mask = np.zeros((9, LANES), np.bool_)
        self.predicates[7] = self.uniform_predicates[7] = True
        self.groups: list[tuple[int, int]] = [(0, ALL)]  # place in the code, lanes; furthest behind first
        self.waiting: dict[str, list[tuple[int, int]]] = {}
        self.convergence = [0] * 16
        self.alive = ALL
        self.access: Access | None = None

    def merge(self, place: int, lanes: int) -> None:
        """Let a group of lanes go on at a place."""
        for i, (other, mask) in enumerate(self.groups):
            if other == place:
                self.groups[i] = (place, mask | lanes)
                return
        bisect.insort(self.groups, (place, lanes))

    def meet(self, name: str, wanted: int, place: int, lanes: int) -> bool:
        """Lanes wait under a name for `wanted`; True once all are there, and they go on together."""
        held = self.waiting.setdefault(name, [])
        held.append((place, lanes))
        there = 0
        for _, mask in held:
            there |= mask
        if wanted & self.alive & ~there:
            return False
        del self.waiting[name]
        self.merge(place, there)
        return True
