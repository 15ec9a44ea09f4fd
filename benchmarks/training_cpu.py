"""One training step on a CPU: forward, backward, AdamW; native kernels against the reference under autograd.

Two networks: the card `synthetic` as it is trained (16 clips a step), and one block of the full-size model
on one clip of 16 frames at 224 x 224. In the peer, the mixer's operators are the definition in plain PyTorch,
with PyTorch's own autograd. Loss and every gradient first have to agree on the clips that are then timed;
both take turns in one run. Results go to results/training-cpu.json.

    python benchmarks/training_cpu.py [--rounds 10]
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from common import Goal, argument_parser, begin, finish, in_turns, summary
from torch import Tensor, nn

from vmexport.config import Architecture
from vmexport.config.threads import usable_cores
from vmexport.model import VideoMamba, load_card, mixer
from vmexport.ops.native import load_native
from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference
from vmexport.train import Recipe
from vmexport.train.card import RunSettings, card_tables
from vmexport.train.optimiser import make_optimiser

ACCURACY = 1e-4
"""Largest relative L2 error of any gradient of the native step against the reference's, both in float32."""

TURN_SECONDS = 0.5
"""How long a contender steps before the other's turn."""


@dataclass(frozen=True)
class Case:
    """A network and a step of it.

    Attributes:
        name: for people.
        architecture: the network.
        clips: clips of a step.
    """

    name: str
    architecture: Architecture
    clips: int


def cases() -> list[Case]:
    """What is trained."""
    synthetic = RunSettings.from_tables(card_tables(load_card("synthetic")))
    full = load_card("kinetics400").architecture.with_overrides(depth=1)
    return [
        Case("card synthetic", synthetic.architecture, synthetic.recipe.batch_size),
        Case("one full-size block", full, 1),
    ]


@contextlib.contextmanager
def reference_operators() -> Iterator[None]:
    """The mixer computes with the definition, and gradients are PyTorch's own."""

    def scan(*tensors: Tensor, **attributes: Any) -> Tensor:
        y: Tensor = selective_scan_reference(*tensors, **attributes)
        return y

    with (
        mock.patch.object(mixer, "directional_selective_scan", scan),
        mock.patch.object(mixer, "causal_conv1d", causal_conv1d_reference),
    ):
        yield


def gradients(case: Case, clips: Tensor, labels: Tensor) -> list[Tensor]:
    """The loss of a fresh model, then the gradient of each parameter."""
    model = VideoMamba(case.architecture, seed=0).train()
    loss = nn.functional.cross_entropy(model(clips), labels)
    return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]


def stepper(case: Case, clips: Tensor, labels: Tensor) -> Callable[[], None]:
    """A training step of a fresh model."""
    model = VideoMamba(case.architecture, seed=0).train()
    optimiser = make_optimiser(model, Recipe())

    def step() -> None:
        torch.autograd.backward(nn.functional.cross_entropy(model(clips), labels))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def largest_error(found: list[Tensor], expected: list[Tensor]) -> float:
    """Largest relative L2 error; infinite where a value is not finite."""
    if not all(bool(torch.isfinite(tensor).all()) for tensor in (*found, *expected)):
        return float("inf")
    return max(
        float((a - b).norm() / b.norm().clamp(min=1e-12)) for a, b in zip(found, expected, strict=True)
    )


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Parity, then times, of one case.

    Raises:
        SystemExit: the native step computes something else.
    """
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(case.clips, *case.architecture.clip_shape, generator=generator)
    labels = torch.arange(case.clips) % case.architecture.num_classes
    ours = gradients(case, clips, labels)
    with reference_operators():
        expected = gradients(case, clips, labels)
    error = largest_error(ours, expected)
    if not error <= ACCURACY:
        print(f"{case.name}: the native step differs, relative L2 error {error:.2g}", file=sys.stderr)
        raise SystemExit(6)
    reference = stepper(case, clips, labels)

    def reference_step() -> None:
        with reference_operators():
            reference()

    contenders = {"native": stepper(case, clips, labels), "reference autograd": reference_step}
    times = summary(in_turns(contenders, rounds, TURN_SECONDS))
    rate = {name: case.clips / value["median_ms"] * 1e3 for name, value in times.items()}
    for name, value in rate.items():
        print(f"{case.name}, {name}: {value:.2f} clips/s")
    return {
        "name": case.name,
        "tokens": case.architecture.tokens,
        "clips_a_step": case.clips,
        "largest_error": error,
        "times": times,
        "clips_per_s": rate,
        "times_faster": rate["native"] / rate["reference autograd"],
    }


def main() -> int:
    """Run the benchmark; exit status 8 where a must is missed, 6 where a contender computes otherwise."""
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    run = begin(options)
    torch.set_num_threads(usable_cores())
    measured = [measure(case, options.rounds) for case in cases()]
    goals = [
        Goal(f"{one['name']}: faster than reference autograd", one["times_faster"], 1.0, at_most=False)
        for one in measured
    ]
    title = "training step (forward, backward, AdamW), float32"
    details = {"tier": load_native().tier(), "cases": measured}
    return 0 if finish(run, "training-cpu", title, goals, details) else 8


if __name__ == "__main__":
    raise SystemExit(main())
