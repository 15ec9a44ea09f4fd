"""Measured figures as Markdown tables, out of benchmarks/results/: no figure is written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tables import table

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks/results"
SEARCHES = Path(__file__).resolve().parent.parent / "tests/fuzz/results.json"
SCRIPTS = {
    "operator-cpu": "operator_cpu.py",
    "model-cpu": "model_cpu.py",
    "function_body-cpu": "function_body.py",
    "backward-cpu": "backward_cpu.py",
    "training-cpu": "training_cpu.py",
    "synthetic-accuracy": "synthetic_accuracy.py",
    "rtx-build": "rtx_build.py",
    "static-cuda": "static_cuda.py",
    "issue-model": "issue_model.py",
}
"""Results and the scripts that write them."""

Figures = dict[str, Any]


def load(name: str) -> Figures:
    """A result."""
    found: Figures = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def ms(value: float) -> str:
    """Milliseconds with three digits, whole ones from 100 on."""
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def timed(times: Mapping[str, float]) -> str:
    """Median and, in brackets, the fastest call and the 90th percentile where it was noted."""
    slow = f" to {ms(times['p90_ms'])}" if "p90_ms" in times else ""
    return f"{ms(times['median_ms'])} ({ms(times['fastest_ms'])}{slow})"


def factor(value: float) -> str:
    """How many times."""
    return f"{value:,.0f}x" if value >= 20 else f"{value:.2g}x" if value < 1 else f"{value:.1f}x"


def machine(name: str) -> str:
    """Where a result was measured, in a line."""
    found = load(name)
    where = found["environment"]
    commit = (where["commit"] or "no commit").replace("-dirty", " and uncommitted changes")
    script = f"`benchmarks/{SCRIPTS[name]}` at {commit}."
    if "nvcc" in found:  # compiled code looked at: the processor does not matter
        return f"nvcc {found['nvcc']}; {script}"
    packages = where["packages"]
    vector = next(
        (n for f, n in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if f in where["cpu_features"]), ""
    )
    named = [("torch", "PyTorch"), ("onnxruntime", "ONNX Runtime")]
    versions = ", ".join(f"{label} {packages[key]}" for key, label in named if key in packages)
    return (
        f"{where['cpu']}{' with ' + vector if vector else ''}, {where['cores']} cores; {versions}; {script}"
    )


def with_machine(name: str, text: str) -> str:
    """A table and where it was measured."""
    return f"{text}\n\n{machine(name)}"


def summary() -> str:
    """The README's short table."""
    operator, model, backward = load("operator-cpu"), load("model-cpu"), load("backward-cpu")
    beside, times = operator["beside"], model["times"]
    through = median(backward["peers_ms"]["autograd through the reference"])
    rows = [
        (
            "the scan alone, one direction",
            ms(beside["kernel, 2"]["median_ms"]),
            f"ONNX `Scan` in its best layout {ms(beside['ONNX Scan, 2']['median_ms'])}, "
            f"a lean PyTorch loop {ms(beside['lean loop']['median_ms'])}, mamba-ssm's algorithm in PyTorch "
            f"{ms(beside[MAMBA]['median_ms'])}",
        ),
        (
            "the same with its backward pass",
            ms(backward["times"]["forward + backward, 2"]["median_ms"]),
            f"autograd through the definition {ms(through)}",
        ),
        (
            "the whole model, one clip",
            ms(times["library"]["median_ms"]),
            f"the same file without the library {ms(times['function body']['median_ms'])}, "
            f"PyTorch with a lean loop {ms(times['PyTorch, lean loop']['median_ms'])}, the model's matrix "
            f"products alone {ms(times['products alone']['median_ms'])}",
        ),
    ]
    return with_machine("model-cpu", table(("two cores, float32", "median", "against"), rows))


MAMBA = "mamba-ssm's algorithm, 2"
OPERATOR_ROWS = {
    "kernel, 1": "this kernel, one core",
    "kernel, 2": "this kernel, two cores",
    "kernel on AVX2, 1": "this kernel with AVX2 only, one core",
    "exp loop, C library, 1": "a loop of as many `exp` of the C library, one core",
    "exp loop, the kernel's own, 1": "a loop of as many exponentials of this kernel, one core",
}
PEER_ROWS = {
    "kernel, 2": "this kernel",
    "ONNX Scan, 2": "ONNX `Scan`, state (N, D) and `MatMul` for C: its best layout",
    "function body, 2": "the function body that the exported file carries",
    "lean loop, in place": "a PyTorch loop over tokens, in place",
    "lean loop": "a PyTorch loop over tokens",
    MAMBA: "mamba-ssm's algorithm in PyTorch",
}


def operator() -> str:
    """The kernel alone, and beside its peers."""
    found = load("operator-cpu")
    times, beside, errors = found["times"], found["beside"], found["errors"]
    ours = beside["kernel, 2"]["median_ms"]
    alone = table(
        ("alone", "median (fastest)", "calls"),
        [(text, timed(times[n]), times[n]["runs"]) for n, text in OPERATOR_ROWS.items() if n in times],
        right=(1, 2),
    )
    peers = table(
        ("in turns, two cores", "median (fastest)", "of the kernel's time", "error"),
        [
            (
                text,
                timed(beside[name]),
                factor(beside[name]["median_ms"] / ours),
                f"{errors[name]:.1e}",
            )
            for name, text in PEER_ROWS.items()
        ],
        right=(1, 2, 3),
    )
    return with_machine("operator-cpu", f"{alone}\n\n{peers}")


MODEL_ROWS = {
    "library": "exported file, ONNX Runtime with the operator library",
    "products alone": "the model's matrix products alone in ONNX Runtime",
    "function body": "the same file without the library",
    "PyTorch, tuned loop over both directions at once": "PyTorch, a tuned loop over both directions at once",
    "PyTorch, lean loop": "PyTorch, a lean loop in place of the operator",
}


def model() -> str:
    """The whole network."""
    found = load("model-cpu")
    times, apart = found["times"], found["max_abs_difference"]
    ours = times["library"]["median_ms"]
    return with_machine(
        "model-cpu",
        table(
            ("one clip", "median (fastest)", "of the first row", "largest difference of a logit"),
            [
                (
                    text,
                    timed(times[name]),
                    factor(times[name]["median_ms"] / ours),
                    f"{apart[name]:.1e}" if name in apart else "",
                )
                for name, text in MODEL_ROWS.items()
            ],
            right=(1, 2, 3),
        ),
    )


def function_bodies() -> str:
    """Formulations in standard operators."""
    found = load("function_body-cpu")
    rows = [
        (f"`{op}`", form, timed(times), f"{found[op]['relative_l2_error'][form]:.1e}")
        for op in ("SelectiveScan", "CausalConv1d")
        for form, times in found[op]["times"].items()
    ]
    return with_machine(
        "function_body-cpu", table(("operator", "form", "median (fastest)", "error"), rows, right=(2, 3))
    )


def backward() -> str:
    """Forward and backward pass of the scan."""
    found = load("backward-cpu")
    ours = found["times"]["forward + backward, 2"]["median_ms"]
    rows = [
        (f"native, {name.replace(', 1', ', one core').replace(', 2', ', two cores')}", timed(times), "")
        for name, times in found["times"].items()
    ]
    rows += [
        (name, ms(median(values)), factor(median(values) / ours))
        for name, values in found["peers_ms"].items()
    ]
    return with_machine(
        "backward-cpu",
        table(("one direction", "median (fastest)", "of native on two cores"), rows, right=(1, 2)),
    )


def training() -> str:
    """Whole training steps."""
    found = load("training-cpu")
    rows = [
        (
            case["name"],
            case["clips_a_step"],
            f"{case['clips_per_s']['native']:.3g} clips/s",
            f"{case['clips_per_s']['reference autograd']:.3g} clips/s",
            factor(case["times_faster"]),
        )
        for case in found["cases"]
    ]
    columns = ("network", "clips a step", "native", "definition under autograd", "ratio")
    return with_machine("training-cpu", table(columns, rows, right=(1, 2, 3, 4)))


def accuracy() -> str:
    """Top-1 of the trained model in every form."""
    found = load("synthetic-accuracy")
    rows = [
        (form, f"{one['top1']:.1%}", one["videos"], one["views"])
        for form, one in found["evaluations"].items()
    ]
    return with_machine(
        "synthetic-accuracy", table(("form", "top-1", "films", "views"), rows, right=(1, 2, 3))
    )


def frame_orders() -> str:
    """Top-1 with the frames out of order."""
    reorder = load("synthetic-accuracy")["evaluations"]["PyTorch"]["reorder"]
    return table(("order of the frames", *reorder), [("top-1", *(f"{v:.1%}" for v in reorder.values()))])


def scan_orders() -> str:
    """The paper's Table 2 on these films."""
    rows = load("synthetic-accuracy")["table_2"]
    return table(
        ("backward scan", "top-1", "epochs", "seeds"),
        [(row["cells"][0], f"{row['top1']:.1%}", row["epochs"], 1) for row in rows],
        right=(1, 2, 3),
    )


def rtx() -> str:
    """Engines built ahead of time."""
    found = load("rtx-build")
    rows = [
        (
            one["precision"],
            ", ".join(one["compute_capabilities"]),
            f"{one['build_seconds']:.0f} s",
            f"{one['size_bytes'] / 2**20:.0f} MiB",
            f"{one['peak_bytes'] / 2**30:.1f} GiB",
        )
        for one in found["builds"]
    ]
    columns = ("precision", "for compute capability", "build", "engine", "peak memory")
    runtime = found["builds"][0]["runtime"]
    return with_machine("rtx-build", f"{table(columns, rows, right=(2, 3, 4))}\n\n{runtime}.")


def static_cuda() -> str:
    """What the compiled CUDA kernels show."""
    found = load("static-cuda")
    peers = found["mamba_ssm"]["architectures"]
    rows = []
    for row in found["scan"]:
        peer = peers[row["architecture"]]
        rows.append(
            (
                row["gpu"],
                row["architecture"],
                row["B"],
                row["plan"]["lanes"],
                f"{row['instructions_per_element']:.1f}",
                f"{row['helper_instructions_per_element']:.1f}",
                f"{peer['instructions_per_element']:.1f} + {peer['other_instructions_per_element']:.1f}",
                f"{row['limit_us']:.3g}",
            )
        )
    columns = (
        "plan for",
        "code",
        "B",
        "lanes",
        "recurrence",
        "helpers",
        "mamba-ssm",
        "limit, µs",
    )
    return with_machine("static-cuda", table(columns, rows, right=(2, 3, 4, 5, 6, 7)))


def issue_model() -> str:
    """What the model of a multiprocessor says of the compiled scan."""
    rows = [
        (
            row["gpu"],
            row["B"],
            row["lanes"],
            row["channels"],
            f"{row['cycles_per_tile']:.0f} for {row['tile_tokens']}",
            ", ".join(f"{name} {cycles:.0f}" for name, cycles in row["cycles_by_role"].items()),
            f"{row['predicted_us']:.0f}",
        )
        for row in load("issue-model")["scan"]
    ]
    columns = (
        "GPU",
        "B",
        "lanes",
        "channels",
        "cycles for tokens",
        "busy, by role of the warps",
        "model, µs",
    )
    return with_machine("issue-model", table(columns, rows, right=(1, 2, 3, 6)))


def durations() -> str:
    """How long each script runs."""
    rows = []
    for name, script in SCRIPTS.items():
        found = load(name)
        took = f"{found['seconds'] / 60:.1f} min" if "seconds" in found else "not noted"
        commit = found["environment"]["commit"] or "none"
        rows.append((f"`benchmarks/{script}`", took, found["environment"]["cpu"], commit))
    return table(("script", "took", "on", "commit"), rows, right=(1,))


def searches() -> str:
    """What every search of tests/fuzz has done: the inputs of all campaigns, and what the last one left."""
    runs = json.loads(SEARCHES.read_text(encoding="utf-8"))
    rows = []
    for target in dict.fromkeys(run["target"] for run in runs):
        own = [run for run in runs if run["target"] == target]
        last = own[-1]
        hours = sum(run["cpu_s"] for run in own) / 3600
        peak = max(run["peak_mib"] for run in own)
        rows.append(
            (f"`fuzz_{target}.py`", f"{sum(run['inputs'] for run in own):,}", f"{hours:.2f}", f"{peak:,} MiB",
             last["findings"], last["commit"])
        )  # fmt: skip
    columns = ("search", "files read", "CPU hours", "memory at most", "findings left", "last at")
    found = runs[-1]
    return (
        f"{table(columns, rows, right=(1, 2, 3, 4))}\n\n"
        f"Python {found['python']}, Atheris {found['atheris']}; `tests/fuzz/results.json` has every campaign."
    )


BLOCKS: Mapping[str, Callable[[], str]] = {
    "searches": searches,
    "summary": summary,
    "operator": operator,
    "model": model,
    "function-bodies": function_bodies,
    "backward": backward,
    "training": training,
    "accuracy": accuracy,
    "frame-orders": frame_orders,
    "scan-orders": scan_orders,
    "rtx": rtx,
    "static-cuda": static_cuda,
    "issue-model": issue_model,
    "durations": durations,
    "accuracy-machine": partial(machine, "synthetic-accuracy"),
}
