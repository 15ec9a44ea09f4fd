"""`vmexport convert`: a foreign checkpoint to our safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.config.choices import InitPosition
from vmexport.config.names import WEIGHTS_FILE

if TYPE_CHECKING:
    from vmexport.model.checkpoints import ConversionReport


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A .pth of VideoMamba or Vim, or a .safetensors file."),
    ],
    output: options.Output = Path(WEIGHTS_FILE),
    labels: options.Labels = None,
    frames: options.Frames = None,
    tubelet: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Frames of one token; an image model repeats its patches over them.",
            show_default="as in the model",
        ),
    ] = None,
    classes: options.Classes = None,
    init_position: options.InitPosition = InitPosition.EXPANDING,
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    sampling: options.Sampling = None,
    weights: options.Weights = None,
    size: options.Size = None,
    interpolate_space: options.InterpolateSpace = False,
    interpolate_time: options.InterpolateTime = False,
    trust_pickle: options.TrustPickle = False,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Convert a checkpoint to model.safetensors, with all that is needed to use it in its metadata."""
    names = None if labels is None else options.read_labels(labels)
    with render.progress(f"reading {checkpoint}"):
        from vmexport.model.checkpoints import convert_checkpoint

        report = convert_checkpoint(
            checkpoint,
            output,
            labels=names,
            init_position=init_position.value,
            **options.given(
                frames=frames,
                tubelet=tubelet,
                num_classes=classes,
                cls_position=cls_position and cls_position.value,
                scale=scale,
                sampling=sampling and sampling.value,
                weights=weights and weights.value,
                size=size,
                interpolate_space=interpolate_space,
                interpolate_time=interpolate_time,
                trust_pickle=trust_pickle,
            ),
        )
    if as_json:
        render.notes(report.notes)
        render.as_json(report)
    else:
        _show(report)


def _show(report: ConversionReport) -> None:
    """The file, and what it holds."""
    a = report.architecture
    render.facts(
        "Converted",
        {
            "file": f"{report.path} ({render.mebibytes(report.size_bytes)})",
            "network": f"d={a.d_model}, {a.depth} blocks, {a.frames} frames of {a.size} pixels",
            "classes": f"{a.num_classes}, labels {'known' if report.labels else 'unknown'}",
            "class token": a.cls_position,
            "notes": "; ".join(report.notes) or "none",
        },
    )
