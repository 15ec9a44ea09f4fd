"""TensorRT-RTX engines of the full-size model, built ahead of time: seconds, size, memory.

videomamba_small, 16 frames at 224 pixels, random weights, batch 1. Every engine is built by a process of its
own, so that its peak memory is that of one build. The graph that an engine is built from has to agree with
PyTorch in ONNX Runtime before its figures count. No GPU is needed, and none is measured: what TensorRT-RTX
compiles on the GPU at the first start of an engine is not in these figures. Results go to
results/rtx-build.json.

    python benchmarks/rtx_build.py [--precisions fp16 fp32] [--frames 16]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import Goal, argument_parser, begin, finish

MODEL = "videomamba_small"
CAPABILITIES = ("8.9",), ("8.6", "8.9", "12.0")


def build(precision: str, capabilities: tuple[str, ...], frames: int, folder: Path) -> dict[str, Any]:
    """Build one engine in a process of its own; its report and the peak of that process."""
    words = [sys.executable, __file__, "--one", precision, ",".join(capabilities), str(frames), str(folder)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def one(precision: str, capabilities: str, frames: int, folder: Path) -> None:
    """The other process: build, and print the report as JSON."""
    from vmexport.export.trt import build_engine
    from vmexport.model import create_model

    output = folder / f"{precision}.engine"
    report = build_engine(
        create_model(MODEL, frames=frames),
        output,
        precision=precision,
        runtime="rtx",
        compute_capabilities=tuple(capabilities.split(",")),
        check=capabilities.count(",") == 0,  # the graph is the same for every list
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {**asdict(report), "path": output.name, "peak_bytes": peak}
    if report.parity is not None:
        result["parity"]["b"] = output.name  # a temporary folder tells a reader nothing
    print(json.dumps(result))


def main() -> int:
    """Build them all, print and record; exit status 8 where a must is missed."""
    parser = argument_parser(__doc__)
    parser.add_argument("--precisions", nargs="+", default=["fp16", "fp32"], choices=["fp16", "fp32"])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        precision, capabilities, frames, folder = arguments.one
        one(precision, capabilities, int(frames), Path(folder))
        return 0
    run = begin(arguments)
    with tempfile.TemporaryDirectory() as folder:
        builds = [
            build(precision, capabilities, arguments.frames, Path(folder))
            for precision in arguments.precisions
            for capabilities in CAPABILITIES
        ]
    for result in builds:
        print(describe(result))
    title = f"{MODEL}, {arguments.frames} frames, TensorRT-RTX engines built ahead of time"
    met = finish(
        run, "rtx-build", title, [goal for result in builds for goal in agreement(result)], {"builds": builds}
    )
    return 0 if met else 8


def describe(result: dict[str, Any]) -> str:
    """One build on one line."""
    return (
        f"{result['precision']} for {', '.join(result['compute_capabilities'])}: "
        f"{result['build_seconds']:.1f} s, {result['size_bytes'] / 2**20:.0f} MiB, "
        f"peak {result['peak_bytes'] / 2**20:,.0f} MiB"
    )


def agreement(result: dict[str, Any]) -> list[Goal]:
    """How well the graph of a build agrees with PyTorch; nothing where it was compared by another build."""
    parity = result["parity"]
    if parity is None:
        return []
    cosine = min(batch["cosine"] for batch in parity["batches"])
    name = f"{result['precision']} graph against PyTorch, cosine"
    return [Goal(name, cosine, parity["tolerance"]["cosine"], unit="", at_most=False)]


if __name__ == "__main__":
    raise SystemExit(main())
