"""`vmexport trt`: build an engine of TensorRT or TensorRT-RTX, and check it against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.config.choices import Precision, Runtime
from vmexport.config.names import ENGINE_FILE

if TYPE_CHECKING:
    from vmexport.export.trt.report import EngineReport

SHOWN_LAYERS = 20


def trt(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[ONNX|MODEL]",
            help="An .onnx file of vmexport, a checkpoint, or a preset's name.",
            show_default=False,
        ),
    ] = None,
    output: options.Output = Path(ENGINE_FILE),
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="Type of weights and activations; bf16 from TensorRT 10 on.",
            show_default="of the ONNX file, else fp32",
        ),
    ] = None,
    fp32: options.Fp32 = False,
    fp16: options.Fp16 = False,
    bf16: options.Bf16 = False,
    batch: Annotated[
        str | None,
        typer.Option(
            help="One batch size, or min:opt:max such as 1:4:8.", show_default="of the ONNX file, else 1"
        ),
    ] = None,
    workspace: Annotated[
        str,
        typer.Option(
            help="Scratch space of a kernel, such as 512M; auto: min(2G, a quarter of what is free)."
        ),
    ] = "auto",
    opt_level: Annotated[
        int | None,
        typer.Option(min=0, max=5, help="How long TensorRT searches.", show_default="TensorRT's own"),
    ] = None,
    timing_cache: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|off",
            help="Keeps what was measured of kernels for the next build.",
            show_default="in the cache folder, by GPU, TensorRT and CUDA",
        ),
    ] = None,
    hardware_compat: Annotated[
        bool, typer.Option("--hardware-compat", help="Serve every GPU from Ampere on; not on Jetson.")
    ] = False,
    version_compatible: Annotated[
        bool,
        typer.Option("--version-compatible", help="Serve newer versions of TensorRT too."),
    ] = False,
    embed_plugin: Annotated[
        bool,
        typer.Option("--embed-plugin", help="Put the plugin, native code, into the engine; with the former."),
    ] = False,
    plugin: Annotated[
        bool | None,
        typer.Option(
            "--plugin/--no-plugin",
            help="RTX: scans by the plugin, which the engine then needs, or by standard operators.",
            show_default="the plugin where it is built",
        ),
    ] = None,
    profile_layers: Annotated[
        bool, typer.Option("--profile-layers", help="Measure the time of every layer afterwards.")
    ] = False,
    runtime: Annotated[
        Runtime, typer.Option(help="TensorRT on the GPU itself, or TensorRT-RTX, ahead of time too.")
    ] = Runtime.AUTO,
    compute_capability: Annotated[
        str,
        typer.Option(
            help="RTX: GPUs to build for ahead of time, such as 8.9,12.0.",
            show_default="the GPU here, else 8.6,8.9,12.0",
        ),
    ] = "",
    check: Annotated[bool, typer.Option(help="Compare with PyTorch; exit code 6 on failure.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Build what is up to date, overwrite what is no engine of ours.")
    ] = False,
    frames: options.Frames = None,
    size: options.Size = None,
    classes: options.Classes = None,
    labels: options.Labels = None,
    interpolate_time: options.InterpolateTime = False,
    trust_pickle: options.TrustPickle = False,
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Build an engine for the GPU of this machine, with its sidecar, and check it against PyTorch.

    Without an argument: model.onnx of this folder, else model.safetensors, else a preset with random weights.
    An engine made before from the same model and settings is kept. Engines and plugins are code: use only
    those that you trust.

    For GPUs that are not here: --runtime rtx --compute-capability 8.9,12.0. For newer versions of TensorRT
    too: --version-compatible.
    """
    shaping = {
        **options.reading(cls_position, scale),
        **options.given(
            frames=frames,
            size=size,
            num_classes=classes,
            interpolate_time=interpolate_time,
            trust_pickle=trust_pickle,
        ),
    }
    chosen = options.precision_given(precision, fp32=fp32, fp16=fp16, bf16=bf16)
    with render.counted_progress("loading PyTorch and the model") as say:
        from vmexport.export.trt import EngineRequest, build_engine
        from vmexport.export.trt.settings import parse_capabilities
        from vmexport.export.trt.source import engine_source

        request = EngineRequest(
            precision=chosen,
            batch=batch,
            workspace=workspace,
            opt_level=opt_level,
            timing_cache=timing_cache,
            hardware_compatibility="ampere_plus" if hardware_compat else "none",
            version_compatible=version_compatible,
            embed_plugin=embed_plugin,
            plugin=plugin,
            profile_layers=profile_layers,
            runtime=runtime.value,
            compute_capabilities=parse_capabilities(compute_capability),
            check=check,
            force=force,
        )
        names = None if labels is None else options.read_labels(labels)
        source, sentence = engine_source(model, labels=names, **shaping)
        if sentence:
            render.note(sentence)
        report = build_engine(source, output, request=request, progress=say)
    if as_json:
        render.as_json(report)
    else:
        _show(report)


def _show(report: EngineReport) -> None:
    """The report as tables."""
    cache = report.timing_cache or "off"
    values = {
        "file": f"{report.path} ({render.mebibytes(report.size_bytes)})",
        "runs with": report.runtime,
        "compute capability": ", ".join(report.compute_capabilities),
        "built on": report.gpu or "no GPU: ahead of time",
        "precision": report.precision,
        "batch": report.profile,
        "scans": "plugin" if report.plugin else "function body, two levels",
        "workspace": "not bounded"
        if report.workspace_bytes is None
        else render.mebibytes(report.workspace_bytes),
        "timing cache": f"{cache}{', reused' if report.timing_cache_reused else ''}",
        "parity with PyTorch": _parity(report),
        "time": f"{report.seconds:.1f} s, of it TensorRT {report.build_seconds:.1f} s",
    }
    if report.up_to_date:
        del values["workspace"], values["timing cache"]
        values["time"] = "up to date, nothing was built (--force builds)"
    render.facts("Up to date" if report.up_to_date else "Built", values)
    if report.layers:
        slowest = sorted(report.layers, key=lambda layer: -layer.ms)[:SHOWN_LAYERS]
        rows = [(layer.name, f"{layer.ms:.4f}", f"{100 * layer.share:.1f} %") for layer in slowest]
        title = f"The slowest {len(rows)} of {len(report.layers)} layers (--json: all)"
        render.table(title, ("layer", "ms", "share"), rows)
    render.notes(report.notes)


def _parity(report: EngineReport) -> str:
    """What was compared, in words."""
    if report.proven == "nothing":
        return "not checked"
    what = "the engine" if report.proven == "engine" else "not run on a GPU; the file it was built from"
    if report.parity is None:
        return f"{what}: passed, when it was built"
    worst = max(report.parity.batches, key=lambda batch: batch.max_abs)
    batches = ", ".join(str(batch.batch) for batch in report.parity.batches)
    return f"{what}: passed at batch {batches}: max difference {worst.max_abs:.2g}, cosine {worst.cosine:.7f}"
