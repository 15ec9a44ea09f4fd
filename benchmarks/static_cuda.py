"""The CUDA kernels as compiled, without a GPU: resources, instructions an element, and the least time.

For every architecture in the library: registers and spills of the scan kernels that the planner chooses for
a GPU of that architecture, their occupancy, their instructions an element (how they are counted:
scan_code.py), and beside them mamba-ssm's forward kernel. Nothing here was run on a GPU. Two times that no
kernel beats: the limit, the recurrence's exponentials at 16 a clock and SM, all SMs with equal shares; the
exponential bound, the same for the SM that gets the most blocks, softplus (exponential and reciprocal) and
gate (likewise) included. How long the kernels take is issue_model.py's question. Results go to
results/static-cuda.json.

    make cuda-release
    python benchmarks/static_cuda.py [--library FILE] [--mamba CHECKOUT] [--output FILE]

`--mamba`, a checkout of state-spaces/mamba, compiles mamba-ssm's kernel anew (torch's headers are needed);
without it, the figures in the results file stay.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import RESULTS, argument_parser, begin, print_goals, write
from gpus import EX2_PER_CLOCK, GPUS, Gpu
from rich.console import Console
from rich.table import Table
from sass import ToolMissingError, count, disassemble, find_tool, usage
from scan_code import cost
from scan_plan import Plan, Sizes, plan_of
from static_peer import peer_figures

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "build/cuda-release/capi/libvmexport_scan_cuda.so"
RESULT = RESULTS / "static-cuda.json"
BATCHES = (1, 8)
LENGTH = 1569
GOAL_INSTRUCTIONS = 8.0
GOAL_ARCHITECTURES = ("sm_87", "sm_90")
SFU_PER_VALUE = 2 + 2
"""Softplus: exponential and reciprocal. Gate: the same, at most once for each direction."""
CXX_TYPES = {"float32": "f", "float16": "6__half", "bfloat16": "13__nv_bfloat16"}

Figures = dict[str, Any]


def nvcc_version() -> str:
    """Such as `13.0.88`."""
    said = subprocess.run([find_tool("nvcc"), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"V(\d+\.\d+\.\d+)", said)
    assert found is not None, f"nvcc --version says nothing of the form V1.2.3:\n{said}"
    return found[1]


def scan_kernel(names: Sequence[str], dtype: str, lanes: int) -> str:
    """The mangled name of the scan kernel for a dtype and a number of lanes."""
    wanted = f"scan_kernelI{CXX_TYPES[dtype]}Li{lanes}E"
    found = [name for name in names if wanted in name]
    assert len(found) == 1, f"{len(found)} kernels are called {wanted}"
    return found[0]


def bounds_us(gpu: Gpu, plan: Plan, sizes: Sizes) -> dict[str, float]:
    """Microseconds that one call takes at the least; see the top of this file."""
    blocks = -(-plan.jobs // gpu.sms)  # of the SM that gets the most
    elements = sizes.elements * blocks / plan.jobs * plan.ranges(sizes)
    rate = EX2_PER_CLOCK * gpu.clock_ghz * 1e3
    special = elements * (1 + SFU_PER_VALUE / sizes.N) / rate
    limit = sizes.elements / (gpu.sms * rate)
    return {"exponential_bound_us": round(special, 3), "limit_us": round(limit, 3)}


def scan_figures(library: Path, gpu: Gpu, sizes: Sizes) -> Figures:
    """Everything about the scan kernel that `gpu` would run for `sizes`."""
    plan = plan_of(gpu, sizes)
    kernels = disassemble(library, gpu.architecture)
    name = scan_kernel(tuple(kernels), sizes.dtype, plan.lanes)
    used = usage(library, gpu.architecture)[name]
    instructions = cost(kernels[name], plan, sizes)
    blocks = gpu.resident_blocks(plan.threads, used.registers, plan.shared_bytes)
    return {
        "gpu": gpu.name,
        "architecture": gpu.architecture,
        **asdict(sizes),
        "plan": asdict(plan),
        "registers": used.registers,
        "spill_bytes": used.stack + used.local,
        "shared_bytes": plan.shared_bytes,
        "blocks_per_sm": blocks,
        "occupancy": blocks * plan.threads / gpu.threads,
        "instructions_per_element": round(instructions.recurrence, 3),
        "helper_instructions_per_element": round(instructions.helpers, 3),
        **bounds_us(gpu, plan, sizes),
    }


def kernel_figures(library: Path, architecture: str) -> dict[str, Figures]:
    """Resources of every kernel in the library, by mangled name without the translation unit's own part."""
    kernels = disassemble(library, architecture)
    return {
        name: {
            "registers": used.registers,
            "spill_bytes": used.stack + used.local,
            "instructions": len(kernels[name]),
            "local_accesses": count(kernels[name], "LDL") + count(kernels[name], "STL"),
        }
        for name, used in sorted(usage(library, architecture).items())
    }


def measure(library: Path, architectures: Sequence[str]) -> Figures:
    """The part of the results that `library` alone decides."""
    return {
        "nvcc": nvcc_version(),
        "kernels": {name: kernel_figures(library, name) for name in architectures},
        "scan": [
            scan_figures(library, gpu, Sizes(B=batch, L=LENGTH))
            for gpu in GPUS
            if gpu.architecture in architectures
            for batch in BATCHES
        ],
    }


def architectures_of(library: Path) -> list[str]:
    """Those of `GPUS` that the library holds machine code for."""
    return [x for x in dict.fromkeys(gpu.architecture for gpu in GPUS) if disassemble(library, x)]


def show(document: Mapping[str, Any]) -> None:
    """Print the figures, and mamba-ssm's beside them."""
    table = Table(
        title=f"CUDA scan, float16, L={LENGTH}, both directions; nvcc {document['nvcc']}; no GPU was used",
        title_justify="left",
    )
    columns = ("GPU", "B", "lanes", "registers", "spills", "shared", "occupancy", "instr./element", "helpers")
    for column in (*columns, "mamba-ssm", "limit µs"):
        table.add_column(column, justify="left" if column == "GPU" else "right")
    for row in document["scan"]:
        peer = document["mamba_ssm"]["architectures"].get(row["architecture"], {})
        table.add_row(
            f"{row['gpu']} ({row['architecture']})",
            str(row["B"]),
            str(row["plan"]["lanes"]),
            str(row["registers"]),
            str(row["spill_bytes"]),
            str(row["shared_bytes"]),
            f"{row['occupancy']:.0%}",
            f"{row['instructions_per_element']:.1f}",
            f"+{row['helper_instructions_per_element']:.1f}",
            f"{peer['instructions_per_element']:.1f} +{peer['other_instructions_per_element']:.1f}"
            if peer
            else "",
            f"{row['limit_us']:.1f}",
        )
    Console(width=170).print(table)


def main() -> int:
    """Measure, print, write; exit status 8 where a kernel spills or an element costs more than the goal."""
    parser = argument_parser(__doc__)
    parser.add_argument("--library", type=Path, default=LIBRARY)
    parser.add_argument("--mamba", type=Path, help="checkout of state-spaces/mamba")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    run = begin(arguments)
    try:
        if not arguments.library.exists():
            sys.exit(f"{arguments.library} is not there; make cuda-release builds it")
        architectures = architectures_of(arguments.library)
        document: Figures = {
            "benchmark": "static-cuda",
            "title": "CUDA scan as compiled; no GPU was used",
            **measure(arguments.library, architectures),
        }
        if arguments.mamba is not None:
            document["mamba_ssm"] = peer_figures(arguments.mamba, architectures)
        else:
            document["mamba_ssm"] = json.loads(RESULT.read_text(encoding="utf-8"))["mamba_ssm"]
    except ToolMissingError as error:
        sys.exit(str(error))
    goals = [
        {
            "name": f"instructions an element, {row['gpu']}, B={row['B']}",
            "value": row["instructions_per_element"],
            "must": GOAL_INSTRUCTIONS,
            "reached": row["instructions_per_element"] <= GOAL_INSTRUCTIONS and row["spill_bytes"] == 0,
        }
        for row in document["scan"]
        if row["architecture"] in GOAL_ARCHITECTURES
    ]
    document["goals"] = goals
    show(document)
    print_goals(goals, digits=2)
    write(run, arguments.output, document)
    return 0 if all(goal["reached"] for goal in goals) else 8


if __name__ == "__main__":
    sys.exit(main())
