"""Forward and backward pass of the selective scan on a CPU, one direction, L=1569, D=768, N=16, float32.

Every gradient of every contender first has to agree with the float64 definition on the tensors that are then
timed. Peers: autograd through the reference (the goal is set against it), through a loop that is written
for autograd (tokens unbound once, so that no step allocates a gradient for all of them), and the reference's
written-out gradients. Slow peers are called a few times only.
Results go to results/backward-cpu.json.

    python benchmarks/backward_cpu.py [--rounds 15] [--slow-rounds 2]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch
from common import Goal, Run, argument_parser, begin, finish, in_turns, summary
from operator_cpu import ATTRIBUTES, TURN_SECONDS, D, L, N, tensors
from peers import one_thread
from torch import Tensor
from torch.nn import functional

from vmexport.ops.native import load_native
from vmexport.ops.reference import selective_scan_reference
from vmexport.ops.reference_backward import ScanTensors, selective_scan_backward_reference
from vmexport.ops.schema import SCAN_INPUTS
from vmexport.ops.torch_ops import selective_scan_op

ACCURACY = 4e-6
"""Largest relative L2 error of any gradient against float64 with which a contender is timed."""

Gradients = tuple[Tensor, ...]
Call = Callable[[], Gradients]
ORDER = (ATTRIBUTES["directions"], ATTRIBUTES["tokens_per_frame"], ATTRIBUTES["class_token"])


def problem() -> tuple[ScanTensors, Tensor]:
    """The operator benchmark's inputs, asking for gradients, and the gradient of y `(1, L, D)`."""
    values: Any = tuple(torch.from_numpy(array).requires_grad_() for array in tensors().values())
    return values, torch.randn(1, L, D, generator=torch.Generator().manual_seed(0))


def definition(inputs: ScanTensors, grad_y: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """The written-out gradients."""
    wide: Any = tuple(None if t is None else t.detach().to(dtype) for t in inputs)
    state = torch.zeros(1, 1, D, N, dtype=dtype)
    return selective_scan_backward_reference(
        grad_y.to(dtype), state, wide, **ATTRIBUTES, scale=1.0, delta_softplus=True
    )


def native(inputs: ScanTensors, grad_y: Tensor, threads: int) -> Call:
    """Forward and backward pass of the registered operator."""

    def run() -> Gradients:
        torch.set_num_threads(threads)
        y, _ = selective_scan_op(*inputs, *ORDER, 1.0, True)
        return torch.autograd.grad(y, _asking(inputs), grad_y)

    return run


def native_forward(inputs: ScanTensors, threads: int) -> Callable[[], Tensor]:
    """The forward pass alone, without autograd."""
    values = [None if t is None else t.detach() for t in inputs]

    def run() -> Tensor:
        torch.set_num_threads(threads)
        y: Tensor = selective_scan_op(*values, *ORDER, 1.0, True)[0]
        return y

    return run


def through_reference(inputs: ScanTensors, grad_y: Tensor) -> Call:
    """Autograd through the reference."""

    def run() -> Gradients:
        torch.set_num_threads(2)
        y = selective_scan_reference(*inputs, **ATTRIBUTES)
        return torch.autograd.grad(y, _asking(inputs), grad_y)

    return run


def through_loop(inputs: ScanTensors, grad_y: Tensor) -> Call:
    """Autograd through a loop that is written for it; one thread, which is quicker on steps this small."""

    def run() -> Gradients:
        with one_thread():
            return torch.autograd.grad(unbound_scan(inputs), _asking(inputs), grad_y)

    return run


def unbound_scan(inputs: ScanTensors) -> Tensor:
    """y `(1, L, D)`: products that do not need the state are formed at once, tokens are unbound once."""
    u, delta, A, BC, skip, bias, z = inputs
    assert skip is not None
    assert bias is not None
    assert z is not None
    step = functional.softplus(delta[0, 0] + bias[0])  # (L, D)
    B, C = BC[0, 0].chunk(2, dim=-1)  # (L, N) each
    state = torch.zeros(D, N)
    scans = []
    driven = (step * u[0, 0]).unbind(0)
    for now, push, b, c in zip(step.unbind(0), driven, B.unbind(0), C.unbind(0), strict=True):
        state = torch.exp(now[:, None] * A[0]) * state + push[:, None] * b
        scans.append(state @ c)
    return ((torch.stack(scans) + skip[0] * u[0, 0]) * functional.silu(z[0]))[None]


def main() -> int:
    """Run the benchmark; exit status 8 where a must is missed, 6 where a contender computes otherwise."""
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--slow-rounds", type=int, default=2)
    options = parser.parse_args()
    run = begin(options)
    inputs, grad_y = problem()
    expected = definition(inputs, grad_y, torch.float64)
    quick = {f"forward + backward, {n}": native(inputs, grad_y, n) for n in (1, 2)}
    slow: dict[str, Call] = {
        "autograd through the reference": through_reference(inputs, grad_y),
        "autograd through an unbound loop": through_loop(inputs, grad_y),
        "the reference's written-out gradients": lambda: tuple(definition(inputs, grad_y, torch.float32)),
    }
    errors = {name: _errors(name, call(), expected) for name, call in quick.items()}
    slow_ms: dict[str, list[float]] = {name: [] for name in slow}
    for _ in range(options.slow_rounds):
        for name, call in slow.items():
            started = time.perf_counter()
            found = call()
            slow_ms[name].append((time.perf_counter() - started) * 1e3)
            errors[name] = _errors(name, found, expected)
    alone = {f"forward, {n}": native_forward(inputs, n) for n in (1, 2)}
    times = summary(in_turns({**quick, **alone}, options.rounds, TURN_SECONDS))
    return _report(run, times, slow_ms, errors)


def _errors(name: str, found: Gradients, expected: list[Tensor]) -> dict[str, float]:
    """Relative L2 error of each gradient; ends the program where one is too large."""
    errors = {}
    for tensor, got, want in zip(SCAN_INPUTS, found, expected, strict=True):
        error = float((got.double() - want).norm() / want.norm())
        errors[tensor] = error
        if not error <= ACCURACY:  # NaN too
            print(f"{name}: gradient of {tensor} differs, relative L2 error {error:.2g}", file=sys.stderr)
            raise SystemExit(6)
    return errors


def _report(
    run: Run,
    times: Mapping[str, Mapping[str, float]],
    slow_ms: Mapping[str, list[float]],
    errors: Mapping[str, Mapping[str, float]],
) -> int:
    """Goals out of the times."""
    ours = times["forward + backward, 2"]["median_ms"]
    backward = {
        n: times[f"forward + backward, {n}"]["median_ms"] - times[f"forward, {n}"]["median_ms"]
        for n in (1, 2)
    }
    ratio = {name: median(values) / ours for name, values in slow_ms.items()}
    for name, value in times.items():
        print(f"{name:>40}: median {value['median_ms']:9.2f} ms, fastest {value['fastest_ms']:9.2f} ms")
    for name, values in slow_ms.items():
        print(f"{name:>40}: median {median(values):9.2f} ms, {ratio[name]:.0f} times forward + backward, 2")
    goals = [
        Goal(
            "faster than autograd through the reference",
            ratio["autograd through the reference"],
            50,
            at_most=False,
        ),
        Goal(
            "largest relative L2 error of a gradient",
            max(errors["forward + backward, 2"].values()),
            ACCURACY,
            unit="",
        ),
    ]
    details = {
        "tier": load_native().tier(),
        "times": times,
        "backward_ms": backward,
        "peers_ms": slow_ms,
        "times_faster": ratio,
        "errors": errors,
    }
    title = f"selective scan, forward + backward, one direction, L={L}, D={D}, N={N}, float32"
    return 0 if finish(run, "backward-cpu", title, goals, details) else 8


def _asking(inputs: ScanTensors) -> list[Tensor]:
    """The tensors that want gradients."""
    return [tensor for tensor in inputs if tensor is not None]


if __name__ == "__main__":
    raise SystemExit(main())
