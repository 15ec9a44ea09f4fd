"""How long the compiled scan takes, by a model of a multiprocessor; no GPU has confirmed a figure of it.

The machine code is carried out for one clip's tensors, every warp of the blocks that share a multiprocessor
on its scheduler: feeding, preparing, computing and finishing warps as they are, tiles pipelined, barriers
and all. The compiler's stall counts and scoreboards say when an instruction may be issued (sass_timing.py),
and y is compared with a float64 scan, so that no path is taken that the GPU would not take. A launch is as
long as the multiprocessor with the most blocks needs; start-up of the launch is not in it.

    make cuda-compile
    python benchmarks/issue_model.py [--library FILE] [--json] [--output FILE]

Results go to results/issue-model.json: for every number of lanes the cycles of a tile, for the planner's
own choice the microseconds of the whole launch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from common import RESULTS, argument_parser, begin, print_goals, write
from gpus import GPUS, Gpu
from rich.console import Console
from rich.table import Table
from sass import ToolMissingError, constant_banks, disassemble, usage
from sass_machine import GLOBAL_BASE, Program
from sass_timing import Multiprocessor, Timing
from sass_warp import LANES, Memory, Warp
from scan_plan import Plan, Sizes, launch_of, plan_of
from sources import ROOT
from static_cuda import nvcc_version, scan_kernel

RESULT = RESULTS / "issue-model.json"
LIBRARY = ROOT / "build/cuda/capi/libvmexport_scan_cuda.so"
PARAMETERS = {"sm_90": 0x210, "sm_100": 0x380, "sm_110": 0x380, "sm_120": 0x380}
"""Where a kernel's argument lies in constant bank 0; 0x160 before."""
FLOAT_LANES = {"sm_75": 16, "sm_80": 16}
"""float32 operations of a scheduler a clock; 32 elsewhere."""
SHARED_BYTES = 256 * 1024
LENGTH = 1569
CASES = (("H200", 1), ("H200", 8), ("AGX Orin", 1))
GOALS_US = {("H200", 1): 36.0, ("H200", 8): 160.0, ("AGX Orin", 1): 365.0}
"""What the kernel is worked towards."""
LANES_LENGTH = 400
"""Tokens of the runs that compare numbers of lanes."""

Figures = dict[str, Any]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Run:
    """A simulated multiprocessor.

    Attributes:
        timing: of its schedulers.
        error: largest difference of y from a float64 scan.
    """

    timing: Timing
    error: float


class Tensors:
    """One call's tensors, in one piece of memory."""

    def __init__(self, sizes: Sizes) -> None:
        random = np.random.default_rng(7)
        s, b, length, d, n = sizes.S, sizes.B, sizes.L, sizes.D, sizes.N

        def draw(*shape: int) -> Array:
            return random.standard_normal(shape, dtype=np.float32)

        self.storage = np.dtype(np.float32 if sizes.dtype == "float32" else np.float16)
        self.u, self.delta = draw(s, b, length, d), draw(s, b, length, d) - 2
        self.a = -np.exp(draw(s, d, n))
        self.bc, self.skip, self.bias = draw(s, b, length, 2 * n), draw(s, d), 0.3 * draw(s, d)
        self.z = draw(b, length, d)
        halves = [x.astype(self.storage) for x in (self.u, self.delta, self.bc, self.z)]
        self.u, self.delta, self.bc, self.z = (x.astype(np.float32) for x in halves)
        parts = [
            halves[0], halves[1], self.a, halves[2], self.skip, self.bias, halves[3],
            np.zeros((b, length, d), self.storage), np.zeros((s, b, d, n), np.float32),
        ]  # fmt: skip
        self.addresses, at = [], 0
        for part in parts:
            self.addresses.append(GLOBAL_BASE + at)
            at += -(-part.nbytes // 256) * 256
        self.bytes = np.zeros(at, np.uint8)
        for part, address in zip(parts, self.addresses, strict=True):
            flat = part.reshape(-1).view(np.uint8)
            self.bytes[address - GLOBAL_BASE :][: flat.size] = flat
        self.sizes = sizes

    def y(self) -> Array:
        """(B, L, D), as the kernel left it."""
        s = self.sizes
        at = self.addresses[7] - GLOBAL_BASE
        data = self.bytes[at : at + s.B * s.L * s.D * self.storage.itemsize].view(self.storage)
        return data.reshape(s.B, s.L, s.D).astype(np.float64)

    def expected(self, batch: int, channels: slice) -> Array:
        """(L, channels) in float64."""
        total = np.zeros((self.sizes.L, channels.stop - channels.start))
        for s in range(self.sizes.S):
            u = self.u[s, batch, :, channels].astype(np.float64)
            delta = np.logaddexp(
                0, self.delta[s, batch, :, channels].astype(np.float64) + self.bias[s, channels]
            )
            b, c = np.split(self.bc[s, batch].astype(np.float64), 2, axis=1)
            a = self.a[s, channels].astype(np.float64)
            state = np.zeros(a.shape)
            for step in range(self.sizes.L):
                t = step if s % 2 == 0 else self.sizes.L - 1 - step
                state = np.exp(delta[t][:, None] * a) * state + (delta[t] * u[t])[:, None] * b[t]
                total[t] += state @ c[t] + self.skip[s, channels] * u[t]
        z = self.z[batch, :, channels].astype(np.float64)
        return np.asarray(total * z / (1 + np.exp(-z)))


def simulate(library: Path, gpu: Gpu, sizes: Sizes, blocks: int, lanes: int = 0) -> Run:
    """The first `blocks` blocks of a call on one multiprocessor of `gpu`; `lanes` as in plan_of."""
    plan = plan_of(gpu, sizes, lanes)
    kernels = disassemble(library, gpu.architecture)
    name = scan_kernel(tuple(kernels), sizes.dtype, plan.lanes)
    program, tensors = Program(kernels[name]), Tensors(sizes)
    threads = plan.threads
    bank = bytearray(PARAMETERS.get(gpu.architecture, 0x160))
    for at, value in ((0, threads), (4, 1), (8, 1), (12, plan.jobs), (16, 1), (20, 1)):
        bank[at : at + 4] = value.to_bytes(4, "little")
    bank += launch_of(gpu, sizes, tensors.addresses, lanes)
    constants = {**constant_banks(library, gpu.architecture, name), 0: bytes(bank)}
    memory = Memory(constants, tensors.bytes)
    running = []
    for block in range(blocks):
        shared = np.full(SHARED_BYTES, 0xFF, np.uint8)
        running.append([Warp(memory, shared, first, block) for first in range(0, threads, LANES)])
    with np.errstate(all="ignore"):
        timing = Multiprocessor(program, running, FLOAT_LANES.get(gpu.architecture, 32)).run()
    y, error = tensors.y(), 0.0
    groups = plan.jobs // sizes.B
    for block in range(blocks):
        first = block % groups * plan.channels
        channels = slice(first, min(first + plan.channels, sizes.D))
        difference = np.abs(y[block // groups, :, channels] - tensors.expected(block // groups, channels))
        error = max(error, float(difference.max()))
    return Run(timing, error)


def turns(gpu: Gpu, plan: Plan, registers: int) -> list[int]:
    """Blocks that the busiest multiprocessor runs at the same time, one such group after the other."""
    resident = gpu.resident_blocks(plan.threads, registers, plan.shared_bytes)
    left, found = -(-plan.jobs // gpu.sms), []
    while left > 0:
        found.append(min(resident, left))
        left -= found[-1]
    return found


def cycles_by_role(plan: Plan, timing: Timing) -> dict[str, float]:
    """Cycles from one opening of the tile barrier to a role's last arrival at the next."""
    return {
        name: median(max(x) for x in zip(*(timing.work_cycles(w) for w in warps), strict=True))
        for name, warps in plan.roles().items()
    }


def by_lanes(library: Path, gpu: Gpu) -> list[Figures]:
    """A tile of one block with every number of lanes, float16."""
    rows = []
    for lanes in (1, 2, 4, 8, 16):
        sizes = Sizes(B=1, L=LANES_LENGTH)
        plan = plan_of(gpu, sizes, lanes)
        run = simulate(library, gpu, sizes, 1, lanes)
        cycles = median(run.timing.step_cycles())
        elements = plan.tile_tokens * plan.channels * plan.directions * sizes.N
        rows.append(
            {
                "gpu": gpu.name,
                "lanes": lanes,
                "tile_tokens": plan.tile_tokens,
                "channels": plan.channels,
                "cycles_per_tile": cycles,
                "cycles_per_element": round(cycles / elements, 4),
                "cycles_by_role": cycles_by_role(plan, run.timing),
                "largest_error": run.error,
            }
        )
    return rows


def predicted(library: Path, gpu: Gpu, sizes: Sizes) -> Figures:
    """A call's cycles, tile by tile and altogether."""
    plan = plan_of(gpu, sizes)
    kernels = tuple(disassemble(library, gpu.architecture))
    used = usage(library, gpu.architecture)[scan_kernel(kernels, sizes.dtype, plan.lanes)]
    groups = turns(gpu, plan, used.registers)
    runs = {blocks: simulate(library, gpu, sizes, blocks) for blocks in sorted(set(groups))}
    most = runs[groups[0]]
    cycles = sum(runs[blocks].timing.cycles for blocks in groups)
    timing = most.timing
    return {
        "gpu": gpu.name,
        "architecture": gpu.architecture,
        **asdict(sizes),
        "lanes": plan.lanes,
        "channels": plan.channels,
        "registers": used.registers,
        "blocks_by_turn": groups,
        "cycles_per_tile": median(timing.step_cycles()),
        "cycles_by_role": cycles_by_role(plan, timing),
        "tile_tokens": plan.tile_tokens,
        "issued_share": round(max(timing.issued) / timing.cycles, 3),
        "exponential_share": round(timing.busy["special"] / timing.cycles / 4, 3),
        "shared_memory_share": round(timing.busy["shared"] / timing.cycles, 3),
        "cycles": cycles,
        "predicted_us": round(cycles / gpu.clock_ghz / 1e3, 2),
        "largest_error": most.error,
    }


def show(document: Figures) -> None:
    """Print the figures."""
    console = Console(width=150)
    for rows, title, last in (
        (document["lanes"], "a tile of one block, float16, by lanes", ()),
        (document["scan"], f"a call, float16, L={LENGTH}, both directions", ("predicted µs",)),
    ):
        table = Table(title=f"{title}: A MODEL THAT NO GPU HAS CONFIRMED", title_justify="left")
        for column in ("GPU", "B", "lanes", "channels", "cycles/tile", "of them busy, by role", *last):
            table.add_column(column)
        for row in rows:
            roles = ", ".join(f"{name} {cycles:.0f}" for name, cycles in row["cycles_by_role"].items())
            cells = (
                row["gpu"],
                row.get("B", 1),
                row["lanes"],
                row["channels"],
                row["cycles_per_tile"],
                roles,
            )
            extra = [row["predicted_us"]] if last else []
            table.add_row(*(str(x) for x in (*cells, *extra)))
        console.print(table)


def measure(library: Path, cases: Sequence[tuple[str, int]] = CASES) -> Figures:
    """Everything that the library alone decides."""
    gpus = {gpu.name: gpu for gpu in GPUS}
    return {
        "nvcc": nvcc_version(),
        "lanes": [
            row for name in dict.fromkeys(name for name, _ in cases) for row in by_lanes(library, gpus[name])
        ],
        "scan": [predicted(library, gpus[name], Sizes(B=batch, L=LENGTH)) for name, batch in cases],
    }


def main() -> int:
    """Model, print, write; exit status 8 where a goal is missed."""
    parser = argument_parser(__doc__)
    parser.add_argument("--library", type=Path, default=LIBRARY)
    parser.add_argument("--json", action="store_true", help="print the results as JSON, not as tables")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    run = begin(arguments)
    if not arguments.library.exists():
        sys.exit(f"{arguments.library} is not there; make cuda-compile builds it")
    try:
        figures = measure(arguments.library)
    except ToolMissingError as error:
        sys.exit(str(error))
    title = "CUDA scan in a model of the multiprocessor; no GPU was used, no GPU has confirmed it"
    document: Figures = {"benchmark": "issue-model", "title": title, **figures}
    document["goals"] = goals = [
        {
            "name": f"predicted microseconds, {row['gpu']}, B={row['B']}",
            "value": row["predicted_us"],
            "must": GOALS_US[row["gpu"], row["B"]],
            "reached": row["predicted_us"] <= GOALS_US[row["gpu"], row["B"]],
        }
        for row in document["scan"]
    ]
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        show(document)
        print_goals(goals, digits=1)
    write(run, arguments.output, document)
    return 0 if all(goal["reached"] for goal in goals) else 8


if __name__ == "__main__":
    sys.exit(main())
