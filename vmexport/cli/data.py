"""`vmexport data`: make a motion data set, examine data sets, write them down as a list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.config.choices import Layout, Split, SynthLayout
from vmexport.errors import ExitCode

if TYPE_CHECKING:
    from vmexport.data import DataReport, IndexReport, SynthReport
    from vmexport.data.check import Range

Data = Annotated[Path, typer.Argument(metavar="PATH", help="Folder of a data set, or one of its lists.")]

SHOWN_CLASSES = 20
"""Classes shown one by one; of more, only the smallest and the largest."""

app = typer.Typer(
    help="Make a motion data set, examine data sets, write them down as a list.", no_args_is_help=True
)


@app.command()
def check(
    path: Data,
    split: options.Split = Split.ALL,
    layout: options.Layout = Layout.AUTO,
    videos: options.Videos = None,
    fold: options.Fold = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="Decode only the first and the last frame of each video.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode; 0: one a core.")] = 0,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Decode every video of a data set: bad files, durations, sizes, class balance.

    Exit code 4 if a file is missing or cannot be decoded.
    """
    from vmexport.config.threads import usable_cores
    from vmexport.data import check_data, open_index

    workers = workers or usable_cores()
    index = open_index(path, split.value, layout.value, videos=videos, fold=fold)
    with render.counted_progress(f"decoding {len(index)} videos of {path}") as progress:
        report = check_data(index, quick=quick, workers=workers, progress=progress)
    if as_json:
        render.as_json(report, "passed")
    else:
        _show_check(report)
    if not report.passed:
        raise typer.Exit(ExitCode.BAD_INPUT)


@app.command()
def index(
    path: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A .json file, a .csv file, or a folder for lists.")
    ] = Path("index.json"),
    split: options.Split = Split.ALL,
    layout: options.Layout = Layout.AUTO,
    videos: options.Videos = None,
    fold: options.Fold = 1,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Write a data set of any format down as one JSON file, or as lists with a path and a label a line.

    Every command takes the result in place of the data set.
    """
    from vmexport.data import open_index, open_parts, write_index

    if split is Split.ALL:
        parts = open_parts(path, layout.value, videos=videos, fold=fold)
    else:
        parts = {split.value: open_index(path, split.value, layout.value, videos=videos, fold=fold)}
    report = write_index(parts, output)
    if as_json:
        render.as_json(report)
    else:
        _show_index(report)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    clips: Annotated[int, typer.Option(min=1, help="Films in all.")] = 240,
    classes: Annotated[int, typer.Option(help="Classes of motion, 2 to 16.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same films.")] = 0,
    layout: Annotated[SynthLayout, typer.Option(help="Format to write.")] = SynthLayout.FOLDER,
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

    settings = SynthSettings(clips, classes, seed, size, frames, fps, validation, layout.value)
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


def _show_index(report: IndexReport) -> None:
    """What was written."""
    render.notes(report.notes)
    videos = ", ".join(f"{part} {render.count(number)}" for part, number in report.videos.items())
    render.facts(
        ", ".join(str(file) for file in report.files),
        {"layout": report.layout, "videos": videos, "classes": str(report.classes)},
    )


def _show_check(report: DataReport) -> None:
    """What the data set looks like, its classes, then its bad files."""
    render.notes(report.notes)
    what = "first and last frames" if report.quick else "every frame"
    render.facts(
        f"{report.root} ({report.layout}, split {report.split})",
        {
            "videos": f"{render.count(report.files)}, {len(report.bad)} of them bad",
            "decoded": f"{what} in {report.seconds:.1f} s",
            "duration": f"{report.duration_s / 3600:.2f} h in all",
            "frames": _range(report.frames),
            "frames a second": _range(report.fps),
            "shorter side": _range(report.shorter_side),
            "sizes": _most_frequent(report.sizes),
            "codecs": _most_frequent(report.codecs),
        },
    )
    ranked = sorted(report.classes.items(), key=lambda item: item[1])
    if len(ranked) > SHOWN_CLASSES:
        ranked = [*ranked[: SHOWN_CLASSES // 2], *ranked[-SHOWN_CLASSES // 2 :]]
    render.table(
        f"{len(report.classes)} classes, the smallest first",
        ("class", "good videos"),
        [(name, str(number)) for name, number in ranked],
    )
    if report.bad:
        rows = [
            (str(bad.path), bad.class_name, bad.what.replace(f"{bad.path} ", ""), bad.why)
            for bad in report.bad
        ]
        render.table("Bad files", ("file", "class", "what", "why"), rows)


def _range(values: Range | None) -> str:
    """`30 to 250, median 90`."""
    if values is None:
        return "-"
    return f"{values.smallest:g} to {values.largest:g}, median {values.median:g}"


def _most_frequent(counts: dict[str, int], shown: int = 4) -> str:
    """`320x240 (1,204), 340x256 (3), 2 more`."""
    parts = [f"{name} ({render.count(number)})" for name, number in list(counts.items())[:shown]]
    return ", ".join(parts + ([f"{len(counts) - shown} more"] if len(counts) > shown else [])) or "-"
