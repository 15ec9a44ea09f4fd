"""The whole model on a CPU: 16 frames, batch 1, float32, against named peers in one interleaved run.

Peers: the time that ONNX Runtime's own MatMul needs for the model's products alone; the same file on its
function body; PyTorch with a token-major loop in place of the operator. The goal is set against the plain
loop, direction by direction; a tuned one is reported too. Every contender that computes logits has to agree
with the float32 network on the timed clips first. Results go to results/model-cpu.json.

    python benchmarks/model_cpu.py [--threads 2] [--rounds 7]
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import torch
from common import Goal, Run, argument_parser, begin, finish, in_turns, summary
from onnx import TensorProto, helper, numpy_helper
from peers import in_place_scan, lean_scan, one_thread
from torch import Tensor

from vmexport.config import Architecture
from vmexport.config.flops import count
from vmexport.export import export_onnx
from vmexport.model import create_model, freeze
from vmexport.ops.schema import visiting_order
from vmexport.runtime import open_runner
from vmexport.runtime.compare import random_clips
from vmexport.runtime.session import SessionOptions, open_session
from vmexport.runtime.tolerance import TOLERANCES, compare_logits

PRESET, FRAMES = "videomamba_small", 16
LIBRARY, BODY, PRODUCTS, LEAN = "library", "function body", "products alone", "PyTorch, lean loop"
STACKED = "PyTorch, tuned loop over both directions at once"


def products(a: Architecture) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """All matrix products of the network as exported: input name, its shape, the weight's shape."""
    d, inner, s = a.d_model, a.d_inner, len(a.directions)
    low = a.rank + 2 * a.d_state
    found: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
        ("patches", (1, a.patches, a.in_channels * a.tubelet * a.patch_size**2), (-1, d))
    ]
    for layer in range(a.depth):
        read_out = "row" if a.has_cls and layer == a.depth - 1 else "gated"  # the last block projects one row
        rows = 1 if read_out == "row" else a.tokens
        found += [("hidden", (1, a.tokens, d), (d, inner))] * 2
        found += [("u", (s, 1, a.tokens, inner), (s, 1, inner, low))]
        found += [("low", (s, 1, a.tokens, a.rank), (s, 1, a.rank, inner))]
        found += [(read_out, (1, rows, inner), (inner, d))]
    return [
        (name, shape, tuple(shape[-1] if n == -1 else n for n in weight)) for name, shape, weight in found
    ]


def products_model(a: Architecture) -> tuple[bytes, dict[str, np.ndarray[Any, Any]]]:
    """An ONNX model of nothing but these products, distinct weights each, and its inputs.

    Of every product one number is kept, so that no product can be dropped and no output has to be stored.
    """
    generator = np.random.default_rng(0)
    nodes, weights, kept = [], [], []
    inputs: dict[str, np.ndarray[Any, Any]] = {}
    for index, (name, shape, weight) in enumerate(products(a)):
        if name not in inputs:
            inputs[name] = generator.standard_normal(shape, dtype=np.float32)
        values = generator.standard_normal(weight, dtype=np.float32) / np.sqrt(np.float32(weight[-2]))
        weights.append(numpy_helper.from_array(values, f"w{index}"))
        axes = len(shape)
        for label, value in (("start", 0), ("end", 1)):
            weights.append(numpy_helper.from_array(np.full(axes, value, np.int64), f"{label}{index}"))
        nodes.append(helper.make_node("MatMul", [name, f"w{index}"], [f"p{index}"]))
        nodes.append(helper.make_node("Slice", [f"p{index}", f"start{index}", f"end{index}"], [f"s{index}"]))
        nodes.append(helper.make_node("Reshape", [f"s{index}", "one"], [f"k{index}"]))
        kept.append(f"k{index}")
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    nodes.append(helper.make_node("Concat", kept, ["kept"], axis=0))
    graph = helper.make_graph(
        nodes,
        "products",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
            for name, value in inputs.items()
        ],
        [helper.make_tensor_value_info("kept", TensorProto.FLOAT, (len(kept),))],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString(), inputs


def loop_operator(stacked: bool) -> Callable[..., Tensor]:
    """The scan of the network by a PyTorch loop, batch 1: plain and by direction, or tuned and at once."""

    def run(
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        BC: Tensor,
        D: Tensor,
        delta_bias: Tensor,
        z: Tensor,
        **order: Any,
    ) -> Tensor:
        scale = order.pop("scale")
        orders = _orders(u.shape[2], **order)

        def visited(x: Tensor, part: slice) -> Tensor:
            """`(S, 1, L, D)` to `(L, S of the part, D)`, each direction in its own order."""
            return torch.stack([x[s, 0, orders[s]] for s in range(len(orders))[part]], dim=1)

        total = torch.zeros_like(z)
        for part in [slice(None)] if stacked else [slice(s, s + 1) for s in range(len(orders))]:
            seen = (
                visited(u, part),
                visited(delta, part),
                A[part],
                visited(BC, part),
                D[part],
                delta_bias[part],
            )
            with one_thread():
                y = in_place_scan(*seen) if stacked else lean_scan(*seen)
            for position, index in enumerate(orders[part]):
                total[0, index] += y[:, position]
        gated: Tensor = scale * total * torch.nn.functional.silu(z)
        return gated

    return run


def lean_convolution(x: Tensor, weight: Tensor, bias: Tensor, **order: Any) -> Tensor:
    """The causal convolution of the network by PyTorch's own depthwise convolution; batch 1."""
    outputs = []
    for s, index in enumerate(_orders(x.shape[1], **order)):
        taps = weight.shape[-1]
        row = torch.nn.functional.pad(x[:, index].transpose(1, 2), (taps - 1, 0))
        convolved = torch.nn.functional.conv1d(row, weight[s].unsqueeze(1), bias[s], groups=x.shape[2])
        natural = torch.empty_like(x)
        natural[:, index] = torch.nn.functional.silu(convolved).transpose(1, 2)
        outputs.append(natural)
    return torch.stack(outputs)


def _orders(length: int, *, directions: Any, tokens_per_frame: int, class_token: int) -> list[Tensor]:
    """Visiting order of each direction as an index."""
    return [
        torch.tensor(visiting_order(int(order), length, tokens_per_frame, int(class_token)))
        for order in directions
    ]


@contextmanager
def loop_operators(stacked: bool) -> Iterator[None]:
    """Within, networks compute both operators in plain PyTorch."""
    module = importlib.import_module(
        "vmexport.model.freeze"
    )  # the package's attribute of this name is a function
    with (
        mock.patch.object(module, "directional_selective_scan", loop_operator(stacked)),
        mock.patch.object(module, "causal_conv1d", lean_convolution),
    ):
        yield


def main() -> int:
    """Run the benchmark; exit status 8 where a must is missed, 6 where a contender computes otherwise."""
    parser = argument_parser(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    run = begin(options)
    torch.set_num_threads(options.threads)
    model = create_model(PRESET, frames=FRAMES)
    clips = random_clips(model.architecture, 1)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "model.onnx"
        export_onnx(model, path, check=False)
        library = stack.enter_context(open_runner(path, library="require", threads=options.threads))
        body = stack.enter_context(open_runner(path, library="off", threads=options.threads))
        frozen = freeze(model)
        content, inputs = products_model(model.architecture)
        session, _ = open_session(content, "products", SessionOptions("off", options.threads))

        def loop(stacked: bool) -> Any:
            with torch.inference_mode(), loop_operators(stacked):
                return frozen(torch.from_numpy(clips)).numpy()

        contenders: dict[str, Callable[[], Any]] = {
            LIBRARY: lambda: library(clips),
            PRODUCTS: lambda: session.run(None, inputs),
            BODY: lambda: body(clips),
            LEAN: lambda: loop(stacked=False),
            STACKED: lambda: loop(stacked=True),
        }
        parity = _parity(frozen, clips, {name: contenders[name] for name in (LIBRARY, BODY, LEAN, STACKED)})
        times = summary(in_turns(contenders, options.rounds))
    return _report(run, model.architecture, times, parity, options.threads)


def _parity(frozen: Any, clips: Any, contenders: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Largest differences from the network; ends the program where one is too large."""
    with torch.inference_mode():
        reference = frozen(torch.from_numpy(clips)).numpy()
    found = {}
    for name, call in contenders.items():
        agreement = compare_logits(reference, call())
        if not agreement.within(TOLERANCES["fp32"]):
            print(f"{name} differs from the network: {agreement}; no times are shown", file=sys.stderr)
            raise SystemExit(6)
        found[name] = agreement.max_abs
    return found


def _report(
    run: Run, a: Architecture, times: dict[str, dict[str, float]], parity: dict[str, float], threads: int
) -> int:
    """Goals out of the times."""
    ms = {name: value["median_ms"] for name, value in times.items()}
    macs = sum(int(np.prod(shape)) * weight[-1] for _, shape, weight in products(a))
    goals = [
        Goal("whole model over its products alone in ONNX Runtime", ms[LIBRARY] / ms[PRODUCTS], 1.6, 1.3),
        Goal(
            "faster than the same file on its function body", ms[BODY] / ms[LIBRARY], 3.5, 4.5, at_most=False
        ),
        Goal("faster than PyTorch with a lean loop", ms[LEAN] / ms[LIBRARY], 8, 11, at_most=False),
    ]
    details = {
        "threads": threads,
        "times": times,
        "max_abs_difference": parity,
        "products_gmacs": macs / 1e9,
        "products_gflops_per_s": 2 * macs / ms[PRODUCTS] / 1e6,
        "linear_macs": count(a).linear_macs,
    }
    for name, value in times.items():
        print(f"{name:>50}: median {value['median_ms']:9.1f} ms, fastest {value['fastest_ms']:9.1f} ms")
    title = f"{PRESET}, {FRAMES} frames, batch 1, float32, {threads} threads"
    return 0 if finish(run, "model-cpu", title, goals, details) else 8


if __name__ == "__main__":
    raise SystemExit(main())
