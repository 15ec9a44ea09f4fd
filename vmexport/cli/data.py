"""`vmexport data`: make a motion data set, examine data sets, write them down as a list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render

if TYPE_CHECKING:
    from vmexport.data import SynthReport

app = typer.Typer(
    help="Make a motion data set, examine data sets, write them down as a list.", no_args_is_help=True
)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    clips: Annotated[int, typer.Option(min=1, help="Films in all.")] = 240,
    classes: Annotated[int, typer.Option(help="Classes of motion, 2 to 16.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same films.")] = 0,
    layout: Annotated[str, typer.Option(help="Format: folder, kinetics, ssv2 or hmdb51.")] = "folder",
    size: Annotated[int, typer.Option(help="Side of the square picture, pixels.")] = 112,
    frames: Annotated[int, typer.Option(help="Frames of a film; the motion fills them.")] = 32,
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 25,
    validation: Annotated[float, typer.Option(help="Share of the films that validate.")] = 0.2,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUT, where this command made it before.")
    ] = False,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Make a data set of H.264 films whose class is the order of two motions.

    A textured shape moves on a drifting ground: left, up, left, up is another class than up, left, up, left.
    Every scene is filmed once for each class, and validation has colours and places that training never has:
    only the order of frames tells classes apart. A clip has to span the whole film (16 frames with stride 2).
    """
    from vmexport.data import SynthSettings, synthesize

    settings = SynthSettings(clips, classes, seed, size, frames, fps, validation, layout)
    with render.counted_progress(f"making {clips} films in {out}") as progress:
        report = synthesize(out, settings, force=force, progress=progress)
    if as_json:
        render.as_json(report)
    else:
        _show_synth(report)


def _show_synth(report: SynthReport) -> None:
    """What was made, and what to do with it."""
    settings = report.settings
    render.facts(
        str(report.path),
        {
            "films": f"{report.training} to train, {report.validation} to validate",
            "classes": ", ".join(report.classes),
            "each": f"{settings.frames} frames of {settings.size}x{settings.size}, {settings.fps} a second",
            "layout, seed": f"{settings.layout}, {settings.seed}",
            "size": render.mebibytes(report.size_bytes),
        },
    )
    render.text(f"train on it: vmexport train --data {report.path} --config synthetic")
