"""`vmexport onnx`: export a model to a checked ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.cli.factory import Factory, export_factory
from vmexport.config.choices import Precision
from vmexport.config.names import FACTORY, ONNX_FILE
from vmexport.errors import UsageError
from vmexport.export.request import ExportRequest

if TYPE_CHECKING:
    from vmexport.export.report import ExportReport


def onnx(
    model: options.Model = None,
    output: options.Output = Path(ONNX_FILE),
    frames: options.Frames = None,
    size: options.Size = None,
    classes: options.Classes = None,
    batch: Annotated[
        str | None,
        typer.Option(
            help="One batch size, or min:opt:max such as 1:4:8.", show_default=str(ExportRequest.batch)
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Type of weights and activations.", show_default=ExportRequest.precision),
    ] = None,
    fp32: options.Fp32 = False,
    fp16: options.Fp16 = False,
    bf16: options.Bf16 = False,
    opset: Annotated[int, typer.Option(help="Version of the default operator domain, 18 to 20.")] = (
        ExportRequest.opset
    ),
    check: Annotated[
        bool, typer.Option(help="Compare the file with PyTorch; exit code 6 on failure.")
    ] = ExportRequest.check,
    no_fallback: Annotated[
        bool,
        typer.Option("--no-fallback", help="No function bodies: the file then needs the operator library."),
    ] = False,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            help="Standard operators alone, for other runtimes than ONNX Runtime: docs/runtimes.md.",
        ),
    ] = ExportRequest.portable,
    labels: options.Labels = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="SHAPE", help="Of FILE.py:NAME: shape of an input, 1x3x224x224; one each."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Of FILE.py:NAME: an argument; repeatable."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Of FILE.py:NAME: a file of its weights.", show_default=False)
    ] = None,
    interpolate_time: options.InterpolateTime = False,
    trust_pickle: options.TrustPickle = False,
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Export a model to ONNX and check it against PyTorch.

    Without MODEL: model.safetensors of this folder, or else a preset with random weights. FILE.py:NAME runs
    somebody's Python file and exports the module that its function NAME makes: docs/foreign.md.
    """
    chosen = options.precision_given(precision, fp32=fp32, fp16=fp16, bf16=bf16)
    request = ExportRequest(
        batch=ExportRequest.batch if batch is None else batch,
        precision=chosen or ExportRequest.precision,
        check=check,
        fallback=not no_fallback,
        opset=opset,
        portable=portable,
    )
    if model is not None and FACTORY.fullmatch(model):
        videos = {"labels": labels, "frames": frames, "size": size, "classes": classes, "scale": scale}
        factory = Factory(model, inputs or [], settings or [], weights)
        report = export_factory(factory, output, request, fixed=batch is None, other=videos)
        if as_json:
            render.as_json(report)
        else:
            _show(report)
        return
    if inputs or settings or weights:
        raise UsageError(
            "--input, --set and --weights belong to a module of your own",
            f"{model or 'a preset'} is not of the form FILE.py:NAME",
            "vmexport onnx model.py:build --input 1x3x224x224",
        )
    names = None if labels is None else options.read_labels(labels)
    with render.progress("loading PyTorch and the model") as say:
        from vmexport.export.onnx import export_onnx
        from vmexport.model import resolve_model

        network, sentence = resolve_model(
            model,
            labels=names,
            **options.reading(cls_position, scale),
            **options.given(
                frames=frames,
                size=size,
                num_classes=classes,
                interpolate_time=interpolate_time,
                trust_pickle=trust_pickle,
            ),
        )
        render.note(sentence)
        report = export_onnx(network, output, request=request, progress=say)
    if as_json:
        render.as_json(report)
    else:
        _show(report)


def _bodies(report: ExportReport) -> str:
    """What computes the scans where there is no operator library."""
    if report.portable:
        return "inlined: standard operators alone"
    return ", ".join(report.functions) or "none: the file needs the operator library"


def _nodes(report: ExportReport) -> str:
    """The nodes of our operators, and the most frequent others."""
    ours_first = sorted(report.nodes.items(), key=lambda item: "::" not in item[0])
    return ", ".join(f"{count} {name}" for name, count in ours_first[:6])


def _show(report: ExportReport) -> None:
    """The report as a table."""
    values = {
        "file": f"{report.path} ({render.mebibytes(report.size_bytes)})",
        "precision": report.precision,
        "batch": report.profile,
        "opset": str(report.opset),
        "nodes": _nodes(report),
        "function bodies": _bodies(report),
        "parity with PyTorch": "not checked (--no-check)",
        "time": f"{report.seconds:.1f} s",
    }
    if report.parity is not None:
        worst = max(report.parity.batches, key=lambda batch: batch.max_abs)
        batches = ", ".join(str(batch.batch) for batch in report.parity.batches)
        values["parity with PyTorch"] = (
            f"passed at batch {batches}: max difference {worst.max_abs:.2g}, cosine {worst.cosine:.7f}"
        )
    render.facts("Exported", values)
