"""The selective scan on a CPU, one direction, L=1569, D=768, N=16, float32, softplus and gate included.

Every contender first has to agree with the float64 reference on the tensors that are then timed; all are
timed in turns in one run. Peers: an exp loop over the same count (exp_loop.cpp), the ONNX `Scan` in its best
layout and vmexport's function body, both in ONNX Runtime, mamba-ssm's pure-PyTorch algorithm, lean
token-major PyTorch loops (the goal is set against the plain one), and the AVX2 tier of the same kernel.
Results go to results/operator-cpu.json.

    python benchmarks/operator_cpu.py [--rounds 15]
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Goal, Run, argument_parser, begin, finish, in_turns, summary
from numpy.typing import NDArray
from onnx import FunctionProto, TensorProto, helper
from peers import in_place_scan, lean_scan, one_thread, precomputed_scan
from plain_scan import plain_scan
from torch import Tensor

from vmexport.export.functions.scan import selective_scan_function
from vmexport.ops.native import Buffer, load_native
from vmexport.ops.reference import selective_scan_reference
from vmexport.ops.schema import DOMAIN, OPSET_VERSION, SCAN_INPUTS, SELECTIVE_SCAN, TokenOrder
from vmexport.runtime.session import SessionOptions, open_session

L, D, N = 1569, 768, 16
OPSET = 18
ATTRIBUTES: dict[str, Any] = {"directions": [0], "tokens_per_frame": 196, "class_token": 1}
ACCURACY, PEER_ACCURACY = 5e-7, 1e-5
"""Largest relative L2 error against float64: the kernel's goal, and what a peer must reach to be timed."""

TURN_SECONDS = 0.2
"""A turn of every contender, whatever one call takes."""

EXP_FLAGS = {
    "C library": ("-DEXP_LIBM", "-ffast-math", "-fopenmp-simd"),
    "the kernel's own": ("-ffp-contract=fast", "-fno-math-errno"),
}
Array = NDArray[np.float32]
Contenders = dict[str, Callable[[], Any]]


def tensors(seed: int = 0, wild: bool = False) -> dict[str, Array]:
    """Inputs of one direction as a trained network produces them, or wild ones."""
    draw = np.random.default_rng(seed).standard_normal
    size = 60.0 if wild else 1.0
    values = {
        "u": size * draw((1, 1, L, D)),
        "delta": size * draw((1, 1, L, D)),
        "A": -np.exp(size / 20 * draw((1, D, N))) * np.arange(1, N + 1),
        "BC": size * draw((1, 1, L, 2 * N)),
        "D": draw((1, D)),
        "delta_bias": draw((1, D)) - 4.0,
        "z": size * draw((1, L, D)),
    }
    return {name: np.ascontiguousarray(values[name], np.float32) for name in SCAN_INPUTS}


def reference(inputs: Mapping[str, Array]) -> NDArray[np.float64]:
    """The float64 reference, `(1, L, D)`."""
    double: dict[str, Any] = {name: torch.from_numpy(value).double() for name, value in inputs.items()}
    y = selective_scan_reference(**double, **ATTRIBUTES)
    return np.asarray(y)


def native(inputs: Mapping[str, Array], threads: int, tier: str | None = None) -> Callable[[], Array]:
    """The kernel, on prepared memory; with `tier` on that instruction tier."""
    library = load_native()
    y = np.empty_like(inputs["z"])
    named: dict[str, Any] = {name: Buffer.of_numpy(value) for name, value in {**inputs, "y": y}.items()}
    order = TokenOrder(**ATTRIBUTES)

    def run() -> Array:
        if tier is not None:
            library.set_tier(tier)
        library.scan(**named, order=order, threads=threads)
        if tier is not None:
            library.set_tier(None)
        return y

    return run


def function_body() -> FunctionProto:
    """The operator in standard operators, as vmexport writes it into a file."""
    return selective_scan_function(**ATTRIBUTES, scale=1.0, states=N, opset=OPSET)


def plain_scan_body() -> FunctionProto:
    """The operator as one plain ONNX `Scan`."""
    nodes = plain_scan((False,), D, N).nodes
    opsets = [helper.make_opsetid("", OPSET)]
    attributes = [*ATTRIBUTES, "scale"]
    return helper.make_function(DOMAIN, SELECTIVE_SCAN, SCAN_INPUTS, ["y"], nodes, opsets, attributes)


def in_onnxruntime(function: FunctionProto, inputs: Mapping[str, Array], threads: int) -> Callable[[], Array]:
    """A function of standard operators in ONNX Runtime, without the operator library."""
    node = helper.make_node(SELECTIVE_SCAN, list(inputs), ["y"], domain=DOMAIN, **ATTRIBUTES, scale=1.0)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name, x in inputs.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, inputs["z"].shape)
    graph = helper.make_graph([node], "scan", values, [output])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, OPSET_VERSION)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=[function])
    options = SessionOptions(library="off", threads=threads)
    session, _ = open_session(model.SerializeToString(), "a function of standard operators", options)
    feed = dict(inputs)
    return lambda: session.run(None, feed)[0]


def precomputed_loop(inputs: Mapping[str, Array]) -> Callable[[], Array]:
    """mamba-ssm's pure-PyTorch algorithm, in its own layout `(B, D, L)`."""
    x = {name: torch.from_numpy(value) for name, value in inputs.items()}
    u, delta, z = (_channels_first(value) for value in (x["u"][0], x["delta"][0], x["z"]))
    bc = torch.stack([_channels_first(part) for part in torch.split(x["BC"][0], N, dim=-1)])

    def run() -> Tensor:
        y = precomputed_scan(u, delta, x["A"][0], bc, x["D"][0], x["delta_bias"][0], z)
        return y.transpose(1, 2)

    return _no_gradient(run)


def lean_loop(inputs: Mapping[str, Array], scan: Callable[..., Tensor]) -> Callable[[], Array]:
    """A lean token-major PyTorch loop."""
    x = {name: torch.from_numpy(value) for name, value in inputs.items()}
    u, delta, bc = (x[name][:, 0].transpose(0, 1).contiguous() for name in ("u", "delta", "BC"))

    def run() -> Tensor:
        with one_thread():
            y = scan(u, delta, x["A"], bc, x["D"], x["delta_bias"])  # (L, 1, D)
        return y.transpose(0, 1) * torch.nn.functional.silu(x["z"])

    return _no_gradient(run)


def exp_loops(folder: Path, threads: int) -> Contenders:
    """The exp loop, built for this machine in both ways."""
    found: Contenders = {}
    common = ("-O3", "-march=native", "-std=c++17", "-Wno-psabi", "-shared", "-fPIC", "-pthread")
    for name, flags in EXP_FLAGS.items():
        target = folder / f"exp{len(found)}_{threads}.so"
        source = Path(__file__).with_name("exp_loop.cpp")
        subprocess.run(["g++", *common, *flags, str(source), "-o", str(target)], check=True)
        library = ctypes.CDLL(str(target))
        library.exp_loop.argtypes = [ctypes.c_int64, ctypes.c_int32]
        library.exp_loop.restype = None
        found[f"exp loop, {name}, {threads}"] = partial(library.exp_loop, L * D * N, threads)
    return found


def relative_error(found: Array, expected: NDArray[np.float64]) -> float:
    """Relative L2 error; infinite for NaN."""
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    return error if np.isfinite(error) else float("inf")


def main() -> int:
    """Run the benchmark; exit status 8 where a must is missed, 6 where a contender computes otherwise."""
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    run = begin(options)
    torch.set_num_threads(2)
    inputs = tensors()
    contenders: Contenders = {
        "kernel, 1": native(inputs, 1),
        "kernel, 2": native(inputs, 2),
        "ONNX Scan, 2": in_onnxruntime(plain_scan_body(), inputs, 2),
        "function body, 2": in_onnxruntime(function_body(), inputs, 2),
        "lean loop": lean_loop(inputs, lean_scan),
        "lean loop, in place": lean_loop(inputs, in_place_scan),
        "mamba-ssm's algorithm, 2": precomputed_loop(inputs),
    }
    if load_native().set_tier("avx2"):
        load_native().set_tier(None)
        contenders["kernel on AVX2, 1"] = native(inputs, 1, "avx2")
    errors = _parity(contenders, reference(inputs))
    with tempfile.TemporaryDirectory() as folder:
        exponentials = {**exp_loops(Path(folder), 1), **exp_loops(Path(folder), 2)}
        quick = {name: call for name, call in contenders.items() if name.startswith("kernel")} | exponentials
        slow = {name: call for name, call in contenders.items() if name not in quick}
        # Slow peers get fewer turns of that length; the kernel runs beside them too, for ratios of one run.
        times = in_turns(quick, options.rounds, TURN_SECONDS)
        beside = in_turns(
            {"kernel, 2": contenders["kernel, 2"], **slow}, max(5, options.rounds // 3), TURN_SECONDS
        )
    return _report(run, summary(times), summary(beside), errors, _wild())


def _parity(contenders: Contenders, expected: NDArray[np.float64]) -> dict[str, float]:
    """Errors of all contenders on the timed tensors; ends the program where one is too large."""
    errors = {name: relative_error(np.asarray(call()), expected) for name, call in contenders.items()}
    for name, error in errors.items():
        if error > PEER_ACCURACY:
            print(f"{name} differs from the reference: relative L2 error {error:.2g}", file=sys.stderr)
            raise SystemExit(6)
    return errors


def _wild() -> dict[str, float]:
    """Inputs far outside of what networks produce: finite wherever the reference is, and as close."""
    inputs = tensors(1, wild=True)
    found, expected = native(inputs, 2)(), reference(inputs)
    return {"nan": int(np.isnan(found).sum()), "relative_l2": relative_error(found, expected)}


def _report(
    run: Run,
    times: dict[str, dict[str, float]],
    beside: dict[str, dict[str, float]],
    errors: dict[str, float],
    wild: dict[str, float],
) -> int:
    """Goals out of the times."""
    ms = {name: value["median_ms"] for name, value in times.items()}
    exp_ms = {n: min(ms[f"exp loop, {name}, {n}"] for name in EXP_FLAGS) for n in (1, 2)}
    ours = beside["kernel, 2"]["median_ms"]
    ratio = {name: value["median_ms"] / ours for name, value in beside.items()}
    goals = [
        Goal("one core", ms["kernel, 1"], 5.2, 4.1, "ms"),
        Goal("two cores", ms["kernel, 2"], 2.7, 2.1, "ms"),
        Goal("over a pure exp loop of the same count, one core", ms["kernel, 1"] / exp_ms[1], 2.4),
        Goal("faster than the ONNX Scan in its best layout", ratio["ONNX Scan, 2"], 13, 18, at_most=False),
        Goal("faster than the function body", ratio["function body, 2"], 13, 18, at_most=False),
        Goal("faster than a lean PyTorch loop", ratio["lean loop"], 20, 30, at_most=False),
        Goal("faster than mamba-ssm's algorithm", ratio["mamba-ssm's algorithm, 2"], 80, 150, at_most=False),
        Goal("relative L2 error against float64", errors["kernel, 1"], ACCURACY, unit=""),
        Goal("NaN on wild inputs", wild["nan"], 0, unit=""),
    ]
    if "kernel on AVX2, 1" in ms:
        goals.append(
            Goal("AVX2 tier over the best tier", ms["kernel on AVX2, 1"] / ms["kernel, 1"], 2.5, 1.7)
        )
    details = {"tier": load_native().tier(), "times": times, "beside": beside, "errors": errors, "wild": wild}
    for name, value in {**beside, **times}.items():
        print(f"{name:>32}: median {value['median_ms']:9.2f} ms, fastest {value['fastest_ms']:9.2f} ms")
    title = f"selective scan, one direction, L={L}, D={D}, N={N}, float32"
    return 0 if finish(run, "operator-cpu", title, goals, details) else 8


def _channels_first(x: Tensor) -> Tensor:
    """`(B, L, D)` to contiguous `(B, D, L)`."""
    return x.transpose(1, 2).contiguous()


def _no_gradient(call: Callable[[], Tensor]) -> Callable[[], Array]:
    """A PyTorch contender as the others are: numpy out, no autograd."""

    def run() -> Array:
        with torch.inference_mode():
            return np.asarray(call())

    return run


if __name__ == "__main__":
    raise SystemExit(main())
