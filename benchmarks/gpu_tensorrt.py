"""The whole model as a TensorRT engine: videomamba_small, 16 frames, batch 1 and 8, fp16 and fp32.

Our ONNX files, without function bodies, go through `vmexport-run` with the plugin: it builds an engine,
compares its logits with those of PyTorch (float32, operators computed step by step) and only then times it,
as a CUDA graph, with and without transfers. Needs no Python package of TensorRT: `--lib-dir` (or
TENSORRT_LIB_DIR) names the folder of libnvinfer where the system does not know it. Results go to
results/<gpu>-tensorrt.json. Where there is no TensorRT the benchmark says so and is skipped: exit status 77.

    python benchmarks/gpu_tensorrt.py [--quick] [--lib-dir DIR] [--own-kernels]

On a machine without TensorRT and without a network the folder can be brought along. Of the wheel
tensorrt==8.6.0 (PyPI, for CPython 3.8 to 3.10, 819 MB) these suffice, unmodified: libnvinfer.so.8 (235 MB
unpacked), libnvinfer_builder_resource.so.8.6.0 (991 MB) and libnvonnxparser.so.8 (3 MB); in place of
libnvinfer_plugin.so.8 stands our stub (`cmake --build BUILD --target vmexport_plugin_library_stub`, 15 kB).
Plugin and runner are then built with the headers of 8.6, and `--own-kernels` does without cuBLAS and cuDNN.
In pieces of 64 MiB these are 13 transfers: time the first, and go on only where thirteen such leave five
minutes, for builds that try kernels out and for the runs; and then with --quick.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Goal, argument_parser, begin, finish, save
from gpu_common import gpu_environment, nvidia_smi, require_gpu, short_name
from gpu_model import BATCHES, FRAMES, PRECISIONS, PRESET, reference_operators

from vmexport.errors import ExitCode
from vmexport.export import export_onnx
from vmexport.model import VideoMamba, create_model, freeze
from vmexport.model.float32 import full_float32
from vmexport.native.libraries import TRT_AUTOREG_LIBRARY
from vmexport.native.loading import library_path

SKIPPED = 77
RUNNER = "vmexport-run"
RUNS = 300
GOALS_FOR = "h200"
GOALS_MS = {1: (1.2, 0.80), 8: (7.0, 5.2)}
"""Median of an fp16 engine in a CUDA graph on that GPU, must and target, by batch."""
GOAL_MEMORY_MB = (150.0, 100.0)


class NoTensorRT(Exception):
    """This machine cannot run the benchmark; the text says why."""


@dataclass(frozen=True)
class Tools:
    """The runner, the plugin, and where TensorRT's libraries are."""

    runner: Path
    plugin: Path
    library_folder: str
    own_kernels: bool = False

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call the runner."""
        folder = ("--lib-dir", self.library_folder) if self.library_folder else ()
        own = ("--own-kernels",) if self.own_kernels else ()
        return subprocess.run(
            [str(self.runner), *words, *folder, *own], capture_output=True, text=True, check=False
        )


def find_tools(library_folder: str, own_kernels: bool = False) -> Tools:
    """The programs of this installation.

    Raises:
        NoTensorRT: they were not built.
    """
    plugin = library_path(TRT_AUTOREG_LIBRARY)
    runner = None if plugin is None else plugin.parent / RUNNER
    if plugin is None or runner is None or not runner.is_file():
        lacking = TRT_AUTOREG_LIBRARY if plugin is None else RUNNER
        raise NoTensorRT(f"{lacking} is not built: TENSORRT_INCLUDE_DIR=<its headers> vmexport plugin build")
    return Tools(runner, plugin, library_folder, own_kernels)


def write_inputs(model: VideoMamba, folder: Path, batch: int, device: torch.device) -> tuple[Path, Path]:
    """Clips, and the logits that PyTorch gives for them."""
    generator = torch.Generator(device).manual_seed(batch)
    clips = torch.randn(batch, *model.architecture.clip_shape, device=device, generator=generator)
    with torch.inference_mode(), full_float32(), reference_operators():
        expected = freeze(model).to(device)(clips)
    paths = folder / f"clips{batch}.npy", folder / f"logits{batch}.npy"
    for path, values in zip(paths, (clips, expected), strict=True):
        np.save(path, values.float().cpu().numpy())
    return paths


def measure(
    tools: Tools, model: VideoMamba, folder: Path, precision: str, inputs: Sequence[Path]
) -> dict[str, Any]:
    """One engine: built, compared, timed.

    Raises:
        NoTensorRT: the runner finds no TensorRT, or none that this GPU suits.
    """
    clips, expected = inputs
    batch = int(np.load(clips, mmap_mode="r").shape[0])
    file = folder / f"{precision}-{batch}.onnx"
    export_onnx(model, file, batch=batch, precision=precision, check=False, fallback=False)
    done = tools.run(
        str(file), str(clips), "--plugin", str(tools.plugin), "--expect", str(expected),
        "--tolerance", precision, "--bench", str(RUNS), "--cuda-graph", "on", "--json",
    )  # fmt: skip
    file.unlink()
    row = {"batch": batch, "precision": precision, "exit_status": done.returncode}
    if done.returncode == ExitCode.ENVIRONMENT:
        raise NoTensorRT(" ".join(done.stderr.split()))
    if done.returncode != ExitCode.OK:
        return {**row, "error": done.stderr.strip()}
    return {**row, **json.loads(done.stdout)}


def goals(rows: Sequence[Mapping[str, Any]], gpu: str) -> list[Goal]:
    """The limits that rows of this run speak about; other GPUs than `GOALS_FOR` have none."""
    found = []
    for row in rows if gpu == GOALS_FOR else ():
        if row["precision"] != "fp16" or row["exit_status"] != ExitCode.OK:
            continue
        must, target = GOALS_MS[row["batch"]]
        latency = row["latency_without_transfers"]["median_ms"]
        found.append(Goal(f"engine, fp16, CUDA graph, B={row['batch']}", latency, must, target, "ms"))
        if row["batch"] == 1:
            used = row["device_memory_bytes"] / 1e6
            found.append(Goal("device memory of the engine, fp16, B=1", used, *GOAL_MEMORY_MB, "MB"))
    return found


def show(row: Mapping[str, Any]) -> None:
    """One line an engine; without a number where parity or the build failed."""
    what = f"B={row['batch']} {row['precision']}"
    if row["exit_status"] != ExitCode.OK:
        print(f"{what}  no number, exit status {row['exit_status']}: {row['error']}")
        return
    alone, moved = (row[f"latency_{how}_transfers"]["median_ms"] for how in ("without", "with"))
    memory = row["device_memory_bytes"] / 1e6
    print(f"{what}  {alone:8.3f} ms, with transfers {moved:8.3f} ms, {memory:.0f} MB, {row['runtime']}")


def main() -> int:
    """Run the benchmark; exit status 0, 8 (a must is missed), that of the first failed engine, or 77."""
    parser = argument_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="only fp16")
    parser.add_argument("--lib-dir", default=os.environ.get("TENSORRT_LIB_DIR", ""), metavar="DIR")
    parser.add_argument("--own-kernels", action="store_true", help="without cuBLAS and cuDNN")
    options = parser.parse_args()
    device = require_gpu()
    run = begin(options)
    model = create_model(PRESET, frames=FRAMES)
    before = gpu_environment(device)
    rows: list[dict[str, Any]] = []
    gpu = short_name(before["name"])
    title = f"{PRESET}, {FRAMES} frames, TensorRT engine on {before['name']}"
    try:
        tools = find_tools(options.lib_dir, options.own_kernels)
        with tempfile.TemporaryDirectory() as name:
            for batch in BATCHES:
                inputs = write_inputs(model, Path(name), batch, device)
                torch.cuda.empty_cache()
                for precision in PRECISIONS[:1] if options.quick else PRECISIONS:
                    rows.append(measure(tools, model, Path(name), precision, inputs))
                    show(rows[-1])
                    save(
                        run, f"{gpu}-tensorrt", title, goals(rows, gpu), {"gpu": before, "rows": rows}, False
                    )
    except NoTensorRT as reason:
        print(f"not run: {reason}")
        return SKIPPED
    details = {"gpu": before, "after": nvidia_smi(), "rows": rows}
    met = finish(run, f"{gpu}-tensorrt", title, goals(rows, gpu), details)
    failed = [row for row in rows if row["exit_status"] != ExitCode.OK]
    if failed:
        print(f"{len(failed)} of {len(rows)} engines failed", file=sys.stderr)
        return int(failed[0]["exit_status"])
    return 0 if met else 8


if __name__ == "__main__":
    raise SystemExit(main())
