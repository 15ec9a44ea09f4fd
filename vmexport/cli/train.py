"""`vmexport train`: train a VideoMamba on a video data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmexport.cli import options, render
from vmexport.cli.card_settings import Settings, parse_settings
from vmexport.config.choices import InitPosition, Layout, TrainingDevice, TrainingPrecision
from vmexport.config.progress import Say
from vmexport.errors import ExitCode
from vmexport.train.request import TrainingRequest

if TYPE_CHECKING:
    from vmexport.train import EpochRecord, TrainReport


THE_CARDS = "the card's"


def train(
    data: Annotated[
        Path | None,
        typer.Option(help="Data set, in any published format.", show_default="./data, or the only one here"),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="Card with a recipe: kinetics400, ssv2, hmdb51, synthetic, or a .toml file.",
            show_default="by the data set's format",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the run.", show_default="runs/NAME-NUMBER"),
    ] = None,
    out: options.FormerOut = None,
    init: Annotated[
        Path | None,
        typer.Option(help="Weights to start from: ours, Vim's or OpenGVLab's.", show_default="random"),
    ] = None,
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    init_position: options.InitPosition = InitPosition(TrainingRequest.init_position),
    weights: options.Weights = None,
    interpolate_space: options.InterpolateSpace = False,
    interpolate_time: options.InterpolateTime = False,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|auto",
            help="Go on with a run: its folder, a checkpoint, or auto (the run of --output, or the newest).",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.", show_default=THE_CARDS)] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Clips of one optimiser step, over all processes.", show_default=THE_CARDS),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(help="Micro-batches a step: same result, less memory.", show_default=THE_CARDS),
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.", show_default=THE_CARDS)] = None,
    frames: options.Frames = None,
    size: options.Size = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.", show_default=THE_CARDS)] = None,
    settings: Settings = None,
    layout: options.Layout = Layout(TrainingRequest.layout),
    videos: options.Videos = None,
    fold: options.Fold = TrainingRequest.fold,
    device: options.TrainingDevice = TrainingDevice(TrainingRequest.device),
    precision: Annotated[
        TrainingPrecision | None,
        typer.Option(
            help="How projections compute; weights stay fp32.", show_default="bf16 on GPUs, fp32 elsewhere"
        ),
    ] = None,
    fp32: options.Fp32 = False,
    fp16: options.Fp16 = False,
    bf16: options.Bf16 = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read videos.", show_default="by the cores")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="Checkpoints that are kept.")] = (TrainingRequest.keep),
    checkpoint_steps: Annotated[
        int, typer.Option(min=0, help="Steps between checkpoints within an epoch; 0: at its end alone.")
    ] = TrainingRequest.checkpoint_steps,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write event files too.")] = False,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Train a VideoMamba and keep the best model.

    Writes model.safetensors, curves.png, epochs.csv, log.jsonl, config.json and checkpoints/ into the run's
    folder, and a copy of the model here, where vmexport onnx finds it. Ctrl-C finishes the step and saves.
    Several processes: torchrun --nproc-per-node 2 -m vmexport train ...
    """
    folder = options.folder_given(output, out)
    chosen = options.precision_given(precision, fp32=fp32, fp16=fp16, bf16=bf16)
    changes = parse_settings(
        settings,
        {
            "recipe.epochs": epochs,
            "recipe.batch_size": batch_size,
            "recipe.accumulate": accumulate,
            "recipe.learning_rate": lr,
            "recipe.seed": seed,
            "architecture.frames": frames,
            "architecture.size": size,
        },
    )
    main = int(os.environ.get("RANK", "0")) == 0
    with render.counted_progress("loading PyTorch and the data set", show=main) as progress:
        from vmexport.train.interrupt import Interrupted
        from vmexport.train.run import train_model

        request = TrainingRequest(
            data=data,
            config=config,
            out=folder,
            init=init,
            init_cls_position=cls_position and cls_position.value,
            init_scale=scale,
            init_position=init_position.value,
            init_weights=weights and weights.value,
            interpolate_space=interpolate_space,
            interpolate_time=interpolate_time,
            resume=resume,
            settings=changes,
            layout=layout.value,
            videos=videos,
            fold=fold,
            device=device.value,
            precision=chosen or TrainingRequest.precision,
            workers=workers,
            keep=keep,
            checkpoint_steps=checkpoint_steps,
            tensorboard=tensorboard,
        )
        try:
            report = train_model(
                request=request, progress=progress, on_epoch=_epoch_line(main), on_notes=render.notes
            )
        except Interrupted as stopped:
            _say_interrupted(stopped, main, render.note if as_json else render.text)
            raise typer.Exit(ExitCode.INTERRUPTED) from stopped
    if not main:
        return
    if as_json:
        render.as_json(report)
    else:
        _show(report)


def _epoch_line(main: bool) -> Any:
    """What prints one line an epoch; nothing in other processes than the first."""

    def line(record: EpochRecord) -> None:
        validation = "" if record.top1 is None else f"  validation {record.top1:.1%}"
        render.note(
            f"epoch {record.epoch:3d}  loss {record.loss:.3f}  training {record.accuracy:.1%}{validation}"
            f"  {record.clips_per_s:.1f} clips/s"
        )

    return line if main else None


def _say_interrupted(stopped: Any, main: bool, say: Say) -> None:
    """Where the run stands, and the command that goes on, for `say` to print."""
    if not main:
        return
    if stopped.step is None:
        render.note("interrupted before the first checkpoint; nothing half-written was left behind")
    else:
        render.note(f"interrupted; the last checkpoint, of step {stopped.step}, is whole. To go on:")
        say(f"  {stopped.resume}")


def _show(report: TrainReport) -> None:
    """The run as a table."""
    if report.published is None:
        render.notes(report.notes[-1:])  # why not
    values = {
        "model": f"{report.model}, of epoch {report.best_epoch}",
        "top-1": f"{report.top1:.1%} of the validation videos, one view each",
        "steps": render.count(report.steps),
        "parameters": f"{report.parameters / 1e6:.3f} M",
        "time": f"{report.seconds:.0f} s",
    }
    if report.published is not None:
        values["copy for the next command"] = str(report.published)
    if report.replaced:
        values["unreadable training videos"] = f"{len(report.replaced)}, replaced by others (see --json)"
    if report.skipped:
        values["unreadable validation videos"] = f"{report.skipped}, left out"
    render.facts("Trained", values)
    render.text("next: vmexport onnx" if report.published else f"next: vmexport onnx {report.model}")
