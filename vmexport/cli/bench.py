"""`vmexport bench`: one model on every backend of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.files import require_writable

if TYPE_CHECKING:
    from vmexport.bench.report import BackendResult, BenchmarkReport


def bench(
    model: options.Model = None,
    frames: options.Frames = None,
    size: options.Size = None,
    classes: options.Classes = None,
    engine: Annotated[
        Path | None,
        typer.Option(help="A TensorRT engine of the same weights, to be timed too.", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Clips of one call.")] = 1,
    runs: Annotated[
        int | None, typer.Option(min=1, help="Timed calls of each backend.", show_default="as many as fit")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.01, help="Seconds of timing for each backend, unless --runs is given."),
    ] = None,
    threads: options.Threads = 0,
    chart: Annotated[
        Path | None, typer.Option(help="PNG file for the table as bars.", show_default=False)
    ] = None,
    trust_pickle: options.TrustPickle = False,
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Time PyTorch, ONNX Runtime and TensorRT on the same clips; exit code 6 where they do not agree on them.

    Without MODEL: model.onnx or model.safetensors of this folder, and model.engine if it is there, or else a
    preset with random weights. Where MODEL is an engine, the .onnx or .safetensors file of its name beside it
    is the reference.
    """
    if chart is not None:
        require_writable(chart)
        from vmexport.bench.chart import draw_chart  # where matplotlib is missing, before the work
    with render.progress("loading") as say:
        from vmexport.bench.measure import benchmark

        report = benchmark(
            model,
            engine=engine,
            batch=batch,
            threads=threads,
            progress=say,
            **options.given(runs=runs, seconds=seconds),
            **options.given(frames=frames, size=size, num_classes=classes, trust_pickle=trust_pickle),
            **options.reading(cls_position, scale),
        )
    if as_json:
        render.as_json(report, "passed")
    else:
        _show(report)
    if chart is not None and any(result.latency for result in report.results):
        draw_chart(report, chart)
        render.note(f"wrote {chart}")
    report.require()


def _show(report: BenchmarkReport) -> None:
    """The table, with everything that the numbers depend on around it."""
    machine = report.environment
    shape = ", ".join(map(str, report.clip_shape))
    render.table(
        f"{report.model}: clips ({report.batch}, {shape}), {report.precision}, {report.threads} threads",
        ("backend", "median ms", "p90", "p99", "clips/s", "GMAC/s", "peak memory", "max difference", "runs"),
        [_row(result) for result in report.results],
        caption=(
            f"{machine.cpu}, {machine.cores} cores; {report.cost.linear_macs / 1e9:.3f} GMACs "
            f"(all linear layers and convolutions; papers' figure {report.cost.paper_macs / 1e9:.3f}) "
            f"and {report.cost.scan_flops / 1e9:.3f} GFLOPs of scans a call; peak memory is the process's, "
            f"loading included"
        ),
    )
    for result in report.results:
        if result.device is not None:
            render.text(
                f"{result.description}: on the GPU alone {_ms(result.device.median_ms)} ms, "
                f"p90 {_ms(result.device.p90_ms)}, p99 {_ms(result.device.p99_ms)}; "
                f"{render.mebibytes(result.device_memory_bytes)} of its memory"
            )
        if result.reason:
            render.text(f"{result.description}: {result.status}: {result.reason}")


def _row(result: BackendResult) -> tuple[str, ...]:
    """One backend; a row without numbers says why in their place."""
    if result.latency is None:
        return (result.description, result.status, "", "", "", "", "", "", "")
    latency = result.latency
    return (
        result.description,
        _ms(latency.median_ms),
        _ms(latency.p90_ms),
        _ms(latency.p99_ms),
        f"{result.clips_per_s:.2f}",
        f"{result.gmacs_per_s:.1f}",
        render.mebibytes(result.peak_memory_bytes),
        f"{result.agreement.max_abs:.1e}" if result.agreement else "reference",
        str(latency.runs),
    )


def _ms(value: float) -> str:
    """Milliseconds with as many digits as mean something."""
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"
