"""How the CUDA scan would be launched on a GPU, asked of its own planner."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gpus import REGISTERS_PER_SM, Gpu

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
        helper_threads: of a block.
        jobs: blocks' worth of work.
        sum_tokens: tokens of a range; fewer than L means that everything is computed more than once.
        shared_bytes: dynamic shared memory of a block.
        tile_tokens: tokens between two barriers.
    """

    lanes: int
    channels: int
    directions: int
    compute_threads: int
    helper_threads: int
    jobs: int
    sum_tokens: int
    shared_bytes: int
    tile_tokens: int

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


def plan_of(gpu: Gpu, sizes: Sizes) -> Plan:
    """The plan for aligned, contiguous tensors; ValueError where the GPU has none."""
    numbers = (DTYPES.index(sizes.dtype), sizes.B, sizes.L, sizes.D, sizes.N, sizes.S)
    limits = (gpu.sms, gpu.shared_per_block, gpu.shared_kib * 1024, gpu.threads, REGISTERS_PER_SM)
    out = (ctypes.c_int64 * 9)()
    if not _library().scan_plan((ctypes.c_int64 * 6)(*numbers), (ctypes.c_int32 * 5)(*limits), out):
        raise ValueError(f"no plan of the scan fits {gpu.name}")
    return Plan(*out)
