"""The whole model on a GPU in PyTorch: videomamba_small, 16 frames, batch 1 and 8, fp16 and fp32.

Contenders: ours and mamba-ssm (in its own layout, see peers_mamba.py), each launched by Python and as a CUDA
graph, and PyTorch alone, whose operators are the step-by-step reference. The logits of each first have to
agree with the float32 network of reference operators on timed clips, else its row has no number. Times are
medians by CUDA events, clips on the device, rotating; float32 products are float32 (no TF32). Results go to
results/<gpu>-model.json.

    python benchmarks/gpu_model.py [--quick]
"""

from __future__ import annotations

import copy
import importlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import torch
from common import Goal, argument_parser, begin, finish, save
from gpu_common import (
    captured,
    copies_beyond_cache,
    device_times,
    gpu_environment,
    in_order,
    nvidia_smi,
    require_gpu,
    short_name,
)
from peers_mamba import MambaMixer, announce_mamba, causal_conv, plain_conv
from torch import Tensor

from vmexport.model import VideoMamba, create_model, freeze
from vmexport.model.float32 import full_float32
from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference
from vmexport.runtime.tolerance import TOLERANCES, compare_logits

PRESET, FRAMES = "videomamba_small", 16
BATCHES, PRECISIONS = (1, 8), ("fp16", "fp32")
GRAPH, EAGER = "CUDA graph", "eager"
OURS, MAMBA, REFERENCE = "vmexport", "mamba-ssm", "PyTorch alone"
GOALS = {1: (4.0, 6.0), 8: (2.5, 3.5)}
"""Times faster than PyTorch eager with mamba-ssm in fp16, must and target, by batch."""
Call = Callable[[Tensor], Tensor]


@contextmanager
def reference_operators() -> Iterator[None]:
    """Within, networks compute both operators step by step in PyTorch."""
    module = importlib.import_module("vmexport.model.freeze")  # the package's name is the function
    with (
        mock.patch.object(module, "directional_selective_scan", selective_scan_reference),
        mock.patch.object(module, "causal_conv1d", causal_conv1d_reference),
    ):
        yield


def with_mamba(frozen: Any, kernel: Any) -> Any:
    """A copy of a frozen network whose mixers run in mamba-ssm's layout."""
    changed = copy.deepcopy(frozen)
    for block in changed.blocks:
        block.mixer.scan = MambaMixer(block.mixer, kernel).scan
    return changed


def networks(model: VideoMamba, precision: str, device: torch.device, kernel: Any | None) -> dict[str, Call]:
    """The contenders by name."""
    frozen = freeze(model, precision).to(device)
    found: dict[str, Call] = {OURS: frozen}
    if kernel is not None:
        found[MAMBA] = with_mamba(frozen, kernel)

    def reference(clips: Tensor) -> Tensor:
        with reference_operators():
            return frozen(clips)  # type: ignore[no-any-return]

    found[REFERENCE] = reference
    return found


def graph_of(network: Call, clips: Sequence[Tensor]) -> Callable[[], None]:
    """One CUDA graph of the network that takes each clip in turn into its own input."""
    held = clips[0].clone()
    replay = captured([partial(network, held)])

    def run() -> None:
        for each in clips:
            held.copy_(each)
            replay()

    return run


def measure(
    model: VideoMamba, expected: Tensor, clips: Sequence[Tensor], precision: str, kernel: Any | None
) -> dict[str, Any]:
    """Parity, then milliseconds a batch of all that passed; peak memory beyond weights and clips."""
    runs: dict[str, Callable[[], None]] = {}
    parity, memory, slow = {}, {}, {}
    for name, network in networks(model, precision, clips[0].device, kernel).items():
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        agreement = compare_logits(expected.cpu().numpy(), network(clips[0]).float().cpu().numpy())
        memory[name] = torch.cuda.max_memory_allocated() - held
        passed = agreement.within(TOLERANCES[precision])
        parity[name] = {"max_abs": agreement.max_abs, "cosine": agreement.cosine, "passed": passed}
        if not passed:
            continue
        if name == REFERENCE:
            slow[f"{name}, {EAGER}"] = in_order([partial(network, clips[0])])
            continue
        runs[f"{name}, {EAGER}"] = in_order([partial(network, each) for each in clips])
        runs[f"{name}, {GRAPH}"] = graph_of(network, clips)
    times = device_times(runs, len(clips))
    times |= device_times(slow, 1, rounds=1, warm_up=0)
    return {
        "batch": len(clips[0]),
        "precision": precision,
        "parity": parity,
        "working_memory_bytes": memory,
        "times": times,
    }


def goals(rows: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """The limits of performance.md that rows of this run speak about."""
    found = []
    for row in rows:
        ours, mamba = (row["times"].get(name) for name in (f"{OURS}, {GRAPH}", f"{MAMBA}, {EAGER}"))
        if row["precision"] != "fp16" or ours is None or mamba is None:
            continue
        must, target = GOALS[row["batch"]]
        ratio = mamba["median_ms"] / ours["median_ms"]
        what = f"CUDA graph faster than PyTorch eager with mamba-ssm, fp16, B={row['batch']}"
        found.append(Goal(what, ratio, must, target, at_most=False))
    return found


def show(row: Mapping[str, Any]) -> None:
    """One line a contender; without a number where parity failed."""
    what = f"B={row['batch']} {row['precision']}"
    for name, value in row["times"].items():
        print(f"{what}  {name:<24} {value['median_ms']:10.3f} ms")
    for name, value in row["parity"].items():
        if not value["passed"]:
            print(f"{what}  {name:<24} no number: difference {value['max_abs']:.2g} of the logits")


def main() -> int:
    """Run the benchmark; exit status 8 where a must is missed, 6 where a contender computes otherwise."""
    parser = argument_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="only fp16")
    options = parser.parse_args()
    device = require_gpu()
    run = begin(options)
    kernel, source = announce_mamba()
    model = create_model(PRESET, frames=FRAMES)
    before = gpu_environment(device)
    rows: list[dict[str, Any]] = []
    name = f"{short_name(before['name'])}-model"
    title = f"{PRESET}, {FRAMES} frames, on {before['name']}"
    convolution = "PyTorch" if causal_conv() is plain_conv else "causal-conv1d"
    details = {"gpu": before, "mamba_ssm": source, "mamba_ssm_convolution": convolution, "rows": rows}
    with torch.inference_mode(), full_float32():
        for batch in BATCHES:
            shape = (batch, *model.architecture.clip_shape)
            copies = copies_beyond_cache(4 * math.prod(shape), before["l2_bytes"])
            generator = torch.Generator(device).manual_seed(batch)
            clips = [torch.randn(shape, device=device, generator=generator) for _ in range(copies)]
            with reference_operators():
                expected = freeze(model).to(device)(clips[0])
            for precision in PRECISIONS[:1] if options.quick else PRECISIONS:
                rows.append(measure(model, expected, clips, precision, kernel))
                show(rows[-1])
                save(run, name, title, goals(rows), details, complete=False)
                torch.cuda.empty_cache()
    met = finish(run, name, title, goals(rows), {**details, "after": nvidia_smi()})
    wrong = [who for row in rows for who, value in row["parity"].items() if not value["passed"]]
    if wrong:
        print(f"parity failed: {', '.join(wrong)}", file=sys.stderr)
        return 6
    return 0 if met else 8


if __name__ == "__main__":
    raise SystemExit(main())
