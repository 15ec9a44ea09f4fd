"""mamba-ssm's selective scan, forward, compiled here for comparison: float16, B and C variable, gate.

Its kernel gives a channel to a block of 128 threads with 16 tokens each, and walks chunks of 2048 tokens.
Its inner loop runs over the states: one `MUFU.EX2` for each of a thread's 16 tokens. The rest of a chunk
(loads, softplus, gate, stores) is spread over all states, and where L is no multiple of 2048 the last
chunk's idle part over the real tokens.
"""

from __future__ import annotations

import importlib.util
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sass import disassemble, find_tool, loops, usage
from scan_code import main_loop, per_exponential

PEER_L, STATES, CHUNK, TOKENS = 1569, 16, 2048, 16
SOURCE = """#include "selective_scan_fwd_kernel.cuh"
using Traits = Selective_Scan_fwd_kernel_traits<128, 16, 1, false, true, true, true, at::Half, float>;
template __global__ void selective_scan_fwd_kernel<Traits>(SSMParamsBase);
"""
FLAGS = ("-std=c++20", "-O3", "--use_fast_math", "--expt-relaxed-constexpr", "--expt-extended-lambda")
UNDEFINED = ("HALF_OPERATORS", "HALF_CONVERSIONS", "BFLOAT16_OPERATORS", "BFLOAT16_CONVERSIONS")


def compile_peer(checkout: Path, architecture: str, folder: Path) -> Path:
    """The one instantiation as machine code."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    torch = Path(spec.origin).parent / "include"
    # A CPU build of torch has c10/cuda, but not the header that its build for CUDA generates.
    generated = folder / "c10/cuda/impl"
    generated.mkdir(parents=True, exist_ok=True)
    (generated / "cuda_cmake_macros.h").write_text("#pragma once\n")
    (folder / "peer.cu").write_text(SOURCE)
    nvcc = find_tool("nvcc")
    includes = (folder, checkout / "csrc/selective_scan", torch, torch / "torch/csrc/api/include")
    cccl = nvcc.resolve().parent.parent / "include/cccl"
    output = folder / f"{architecture}.cubin"
    command = [
        str(nvcc), "-cubin", f"-arch={architecture}", *FLAGS, *(f"-U__CUDA_NO_{x}__" for x in UNDEFINED),
        *(f"-I{x}" for x in (*includes, cccl)), str(folder / "peer.cu"), "-o", str(output),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, text=True)
    return output


def peer_figures(checkout: Path, architectures: Sequence[str]) -> dict[str, Any]:
    """Registers, spills and instructions of mamba-ssm's kernel for each architecture."""
    said = subprocess.run(
        ["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout
    figures: dict[str, Any] = {}
    for architecture in architectures:
        with tempfile.TemporaryDirectory() as folder:
            binary = compile_peer(checkout, architecture, Path(folder))
            ((name, instructions),) = disassemble(binary, architecture).items()
            used = usage(binary, architecture)[name]
        inner = main_loop(instructions)
        around = next(x for x in loops(instructions) if x.first in inner.around)
        chunks = -(-PEER_L // CHUNK)
        idle = chunks * CHUNK / PEER_L
        outside = len(around.body) / (STATES * TOKENS)
        figures[architecture] = {
            "registers": used.registers,
            "spill_bytes": used.stack + used.local,
            "instructions_per_element": round(per_exponential(inner), 3),
            "other_instructions_per_element": round(
                (per_exponential(inner) + outside) * idle - per_exponential(inner), 3
            ),
        }
    return {
        "source": "state-spaces/mamba, csrc/selective_scan, compiled by benchmarks/static_peer.py",
        "commit": said.strip() or "unknown",
        "length": PEER_L,
        "architectures": figures,
    }
