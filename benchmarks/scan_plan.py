"""How the CUDA scan would be launched on a GPU, asked of its own planner."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gpus import REGISTERS_PER_SM, WARP, Gpu

FOLDER = Path(__file__).resolve().parent
DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Sizes:
    """One call of the scan; letters as in the operator's schema."""

    B: int
    L: int
    D: int = 768
    N: int = 16
    S: int = 2
    dtype: str = "float16"

    @property
    def elements(self) -> int:
        """(token, channel, state) triples of all directions, each with one exponential."""
        return self.S * self.B * self.L * self.D * self.N


@dataclass(frozen=True)
class Plan:
    """What the planner chose.

    Attributes:
        lanes: threads that share the states of a channel and direction.
        channels: of a block.
        directions: of a block, walked at the same time.
        compute_threads: of a block.
        feed_threads: that fetch tiles.
        prepare_threads: that make fetched tiles ready.
        finish_threads: that sum, gate and store.
        jobs: blocks' worth of work.
        sum_tokens: tokens of a range; fewer than L means that everything is computed more than once.
        shared_bytes: dynamic shared memory of a block.
        tile_tokens: tokens between two barriers.
    """

    lanes: int
    channels: int
    directions: int
    compute_threads: int
    feed_threads: int
    prepare_threads: int
    finish_threads: int
    jobs: int
    sum_tokens: int
    shared_bytes: int
    tile_tokens: int

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.compute_threads + self.feed_threads + self.prepare_threads + self.finish_threads

    def roles(self) -> dict[str, range]:
        """Warps of a block by what they do."""
        found, first = {}, 0
        for name in ("compute", "feed", "prepare", "finish"):
            last = first + getattr(self, f"{name}_threads") // WARP
            found[name] = range(first, last)
            first = last
        return found

    def ranges(self, sizes: Sizes) -> int:
        """Times that everything is computed, because the sums of all tokens do not fit."""
        return -(-sizes.L // self.sum_tokens)


@functools.cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "scan_plan.so"
        sources = [FOLDER / "scan_plan.cpp", FOLDER.parent / "plugins/scan/scan_plan.cpp"]
        command: list[str | Path] = ["c++", "-std=c++17", "-O1", "-shared", "-fPIC", *sources, "-o", library]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(library))


def _asked(gpu: Gpu, sizes: Sizes, lanes: int) -> tuple[Any, Any]:
    numbers = (DTYPES.index(sizes.dtype), sizes.B, sizes.L, sizes.D, sizes.N, sizes.S, lanes)
    limits = (gpu.sms, gpu.shared_per_block, gpu.shared_kib * 1024, gpu.threads, REGISTERS_PER_SM)
    return (ctypes.c_int64 * len(numbers))(*numbers), (ctypes.c_int32 * len(limits))(*limits)


def plan_of(gpu: Gpu, sizes: Sizes, lanes: int = 0) -> Plan:
    """The plan for aligned, contiguous tensors; ValueError where the GPU has none.

    Args:
        gpu: whose limits count.
        sizes: of the call.
        lanes: the only number of lanes to consider; 0: the planner's choice.
    """
    out = (ctypes.c_int64 * len(fields(Plan)))()
    if not _library().scan_plan(*_asked(gpu, sizes, lanes), out):
        raise ValueError(f"no plan of the scan fits {gpu.name}")
    return Plan(*out)


def launch_of(gpu: Gpu, sizes: Sizes, addresses: Sequence[int], lanes: int = 0) -> bytes:
    """The kernel's argument for tensors at `addresses`: u, delta, A, B and C, D, bias, z, y, last state."""
    out = ctypes.create_string_buffer(4096)
    pointers = (ctypes.c_uint64 * len(addresses))(*addresses)
    size = _library().scan_launch(*_asked(gpu, sizes, lanes), pointers, out)
    if not size:
        raise ValueError(f"no plan of the scan fits {gpu.name}")
    return out.raw[:size]
