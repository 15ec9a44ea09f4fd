"""The selective scan on a GPU: both directions, D=768, N=16, against mamba-ssm's forward kernel.

mamba-ssm runs as bidirectional models call it: one kernel a direction with its gate, the input flipped before
and the output after, and the sum. Every contender first has to agree with the float64 reference on tensors
that are then timed, else its row has no number. Times are medians by CUDA events of CUDA graphs that rotate
through more inputs than the L2 cache holds. Results go to results/<gpu>-operator.json, row by row; those of
`--lengths other` to results/<gpu>-operator-lengths.json.

    python benchmarks/gpu_operator.py [--lengths goal|other|all]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from common import Goal, argument_parser, begin, finish, save
from gpu_common import (
    DTYPES,
    captured,
    copies_beyond_cache,
    device_times,
    gpu_environment,
    in_order,
    nvidia_smi,
    relative_error,
    require_gpu,
    short_name,
)
from peers_mamba import announce_mamba, bidirectional_scan
from torch import Tensor

from vmexport.ops import directional_selective_scan
from vmexport.ops.reference import selective_scan_reference

D, N, DIRECTIONS = 768, 16, (0, 1)
BATCHES = (1, 8)
LENGTHS = {"goal": (1569,), "other": (785, 3137, 12545), "all": (785, 1569, 3137, 12545)}
ORDER: dict[str, Any] = {"directions": DIRECTIONS, "tokens_per_frame": 196, "class_token": 1}
ACCURACY = {"fp16": 2e-3, "fp32": 1e-5}
"""Largest relative L2 error against float64 with which a contender is timed."""
OURS, EAGER, MAMBA = "vmexport", "vmexport, launched by Python", "mamba-ssm, flips and sum"
GOALS_H200 = {1: (22.0, 16.0), 8: (130.0, 105.0)}
"""Microseconds a call at L=1569 in fp16, must and target, by batch."""
GOALS_MAMBA = {1: (2.5, 3.7), 8: (3.5, 4.5)}
"""Times faster than mamba-ssm at L=1569 in fp16, must and target, by batch."""
REFERENCE_CHANNELS = 192


@dataclass(frozen=True)
class Setting:
    """One row's sizes."""

    batch: int
    length: int
    dtype: str

    @property
    def input_bytes(self) -> int:
        """Bytes of u, delta, BC, z and y."""
        tokens = self.batch * self.length
        elements = tokens * (2 * 2 * D + 2 * 2 * N + 2 * D)
        return elements * DTYPES[self.dtype].itemsize


def settings(lengths: str) -> list[Setting]:
    """The rows of some of `LENGTHS`: "goal" is the length that the goals are set for."""
    return [Setting(b, length, dtype) for dtype in DTYPES for b in BATCHES for length in LENGTHS[lengths]]


def make_inputs(setting: Setting, device: torch.device, seed: int) -> dict[str, Tensor]:
    """Inputs as a trained network produces them: steps of 0.001 to 0.1, decays of -1 to -16."""
    generator = torch.Generator(device).manual_seed(seed)
    dtype = DTYPES[setting.dtype]

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, device=device, generator=generator)

    b, length = setting.batch, setting.length
    decay = -torch.arange(1, N + 1, device=device, dtype=torch.float32) * torch.exp(0.05 * draw(2, D, N))
    return {
        "u": draw(2, b, length, D).to(dtype),
        "delta": draw(2, b, length, D).to(dtype),
        "A": decay.contiguous(),
        "BC": draw(2, b, length, 2 * N).to(dtype),
        "D": draw(2, D),
        "delta_bias": draw(2, D) - 4.0,
        "z": draw(b, length, D).to(dtype),
    }


def reference(inputs: Mapping[str, Tensor]) -> Tensor:
    """The float64 reference `(B, L, D)`, a part of the channels at a time to spare memory."""
    parts = []
    for start in range(0, D, REFERENCE_CHANNELS):
        part = slice(start, start + REFERENCE_CHANNELS)
        wide: dict[str, Any] = {name: value.double() for name, value in inputs.items() if name == "BC"}
        wide |= {name: inputs[name][..., part].double() for name in ("u", "delta", "D", "delta_bias", "z")}
        wide["A"] = inputs["A"][:, part].double()
        parts.append(selective_scan_reference(**wide, **ORDER))
    return torch.cat(parts, dim=-1)


def mamba_layout(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same call in mamba-ssm's layout; what a model computes from flipped inputs is flipped already."""

    def channels_first(tensor: Tensor, flip: bool) -> Tensor:
        turned = tensor.transpose(1, 2)
        return (turned.flip(-1) if flip else turned).contiguous()

    u, z = (inputs[name] for name in ("u", "z"))
    both = [torch.cat([u[s], z], dim=-1).transpose(1, 2).contiguous() for s in range(2)]
    bc = [channels_first(inputs["BC"][s], s == 1).unsqueeze(1) for s in range(2)]  # (B, 1, 2N, L)
    return {
        "xz": torch.stack(both),
        "delta": torch.stack([channels_first(inputs["delta"][s], s == 1) for s in range(2)]),
        "A": inputs["A"],
        "B": torch.stack([pair[:, :, :N] for pair in bc]),
        "C": torch.stack([pair[:, :, N:] for pair in bc]),
        "D": inputs["D"],
        "bias": inputs["delta_bias"],
    }


def measure(setting: Setting, device: torch.device, kernel: Any | None) -> dict[str, Any]:
    """Parity, then times in microseconds of every contender that passed."""
    l2 = torch.cuda.get_device_properties(device).L2_cache_size
    copies = copies_beyond_cache(setting.input_bytes, l2)
    inputs: list[dict[str, Any]] = [make_inputs(setting, device, seed) for seed in range(copies)]
    calls: dict[str, list[Any]] = {
        OURS: [partial(directional_selective_scan, **given, **ORDER) for given in inputs]
    }
    if kernel is not None:
        layouts: list[dict[str, Any]] = [mamba_layout(given) for given in inputs]
        calls[MAMBA] = [partial(bidirectional_scan, kernel, **given) for given in layouts]
    errors = dict.fromkeys(calls, 0.0)
    for position in {0, copies - 1}:
        expected = reference(inputs[position])
        for name, each in calls.items():
            found = each[position]()
            error = relative_error(found if name == OURS else found.transpose(1, 2), expected)
            errors[name] = max(errors[name], error)
    good = {name: each for name, each in calls.items() if errors[name] <= ACCURACY[setting.dtype]}
    runs = {name: captured(each) for name, each in good.items()}
    if OURS in good:
        runs[EAGER] = in_order(good[OURS])
    times = device_times(runs, copies)
    rows = {
        name: {"median_us": value["median_ms"] * 1e3, "fastest_us": value["fastest_ms"] * 1e3}
        for name, value in times.items()
    }
    return {**asdict(setting), "inputs": copies, "relative_l2": errors, "times": rows}


def measure_or_skip(setting: Setting, device: torch.device, kernel: Any | None) -> dict[str, Any]:
    """A row, without numbers where the GPU's memory does not hold its tensors."""
    try:
        return measure(setting, device, kernel)
    except torch.OutOfMemoryError:
        skipped: dict[str, Any] = {"relative_l2": {}, "times": {}}
        return {**asdict(setting), **skipped, "skipped": "not enough GPU memory"}


def goals(rows: Sequence[Mapping[str, Any]], gpu: str) -> list[Goal]:
    """The limits of performance.md that rows of this run speak about."""
    found = []
    for row in rows:
        if row["length"] != 1569 or row["dtype"] != "fp16" or OURS not in row["times"]:
            continue
        batch, ours = row["batch"], row["times"][OURS]["median_us"]
        if gpu == "h200":
            must, target = GOALS_H200[batch]
            found.append(Goal(f"both directions, fp16, L=1569, B={batch}", ours, must, target, "us"))
        if MAMBA in row["times"]:
            must, target = GOALS_MAMBA[batch]
            ratio = row["times"][MAMBA]["median_us"] / ours
            found.append(
                Goal(f"faster than {MAMBA}, fp16, L=1569, B={batch}", ratio, must, target, at_most=False)
            )
    return found


def show(row: Mapping[str, Any]) -> None:
    """One line a contender; without a number where parity failed."""
    if "skipped" in row:
        print(f"not run: B={row['batch']} L={row['length']:>5} {row['dtype']}: {row['skipped']}")
    for name, error in row["relative_l2"].items():
        what = f"B={row['batch']} L={row['length']:>5} {row['dtype']}  {name:<26}"
        if name in row["times"]:
            print(f"{what} {row['times'][name]['median_us']:10.1f} us   relative L2 error {error:.1e}")
        else:
            print(f"{what} no number: relative L2 error {error:.1e} against float64")


def main() -> int:
    """Run the benchmark; exit status 8 where a must is missed, 6 where a contender computes otherwise."""
    parser = argument_parser(__doc__)
    parser.add_argument("--lengths", choices=tuple(LENGTHS), default="all", help="goal: only L=1569")
    options = parser.parse_args()
    device = require_gpu()
    run = begin(options)
    kernel, source = announce_mamba()
    before = gpu_environment(device)
    rows: list[dict[str, Any]] = []
    gpu = short_name(before["name"])
    name = f"{gpu}-operator-lengths" if options.lengths == "other" else f"{gpu}-operator"
    title = f"selective scan, both directions, D={D}, N={N}, on {before['name']}"
    details = {"gpu": before, "mamba_ssm": source, "rows": rows}
    with torch.inference_mode():
        for setting in settings(options.lengths):
            rows.append(measure_or_skip(setting, device, kernel))
            show(rows[-1])
            save(run, name, title, goals(rows, gpu), details, complete=False)
            torch.cuda.empty_cache()
    met = finish(run, name, title, goals(rows, gpu), {**details, "after": nvidia_smi()})
    wrong = [row for row in rows if any(name not in row["times"] for name in row["relative_l2"])]
    if wrong:
        print(f"{len(wrong)} rows failed parity", file=sys.stderr)
        return 6
    return 0 if met else 8


if __name__ == "__main__":
    raise SystemExit(main())
