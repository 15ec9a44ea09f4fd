"""Options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from vmexport.cli import render


def _set_verbosity(level: int) -> int:
    """Remember `-v` and `-vv` for the catcher and for logging."""
    render.set_verbosity(level)
    return level


Model = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A file (.safetensors, .pth, .onnx, .engine) or a preset's name (see: vmexport models).",
        show_default=False,
    ),
]
RequiredModel = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A file (.safetensors, .pth, .onnx, .engine) or a preset's name."),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]
Frames = Annotated[
    int | None, typer.Option(min=1, help="Frames of one clip.", show_default="as in the model")
]
Size = Annotated[
    int | None,
    typer.Option(min=1, help="Height and width of a frame, pixels.", show_default="as in the model"),
]
Classes = Annotated[
    int | None, typer.Option(min=1, help="Outputs of the head.", show_default="as in the model")
]
Labels = Annotated[
    Path | None,
    typer.Option(help="Text file with one class name a line, in class order.", show_default=False),
]
ClsPosition = Annotated[
    str | None,
    typer.Option(help="Where the class token stands: first, middle or none.", show_default="as in the model"),
]
Scale = Annotated[
    float | None,
    typer.Option(help="Factor on the sum of the directions (Vim: 0.5).", show_default="as in the model"),
]
InterpolateTime = Annotated[
    bool,
    typer.Option("--interpolate-time", help="Re-derive the temporal embedding for another --frames."),
]
TrustPickle = Annotated[
    bool,
    typer.Option(
        "--trust-pickle", help="Load a .pth file that runs code. Only for files you wrote yourself."
    ),
]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: every core.")]
Device = Annotated[str, typer.Option(help="Where the model runs: cpu or cuda; an engine always on the GPU.")]
Data = Annotated[
    Path,
    typer.Option(
        help="Folder or list of a data set: class folders, Kinetics CSV, SSV2 JSON, HMDB51, UCF101."
    ),
]
Layout = Annotated[
    str, typer.Option(help="Format of the data set: auto, folder, kinetics, ssv2, hmdb51, ucf101 or index.")
]
Videos = Annotated[
    Path | None,
    typer.Option(help="Folder that the names in the lists start from.", show_default="searched"),
]
Fold = Annotated[int, typer.Option(help="Which of the three splits of HMDB51 or UCF101.")]
Workers = Annotated[int, typer.Option(min=0, help="Threads that decode videos ahead; 0: none.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help="-v: log messages; -vv: tracebacks too.",
        callback=_set_verbosity,
        show_default=False,
    ),
]


def given(**values: Any) -> dict[str, Any]:
    """Those options that the user gave: the ones that are neither None nor False."""
    return {name: value for name, value in values.items() if value is not None and value is not False}


def read_labels(path: Path) -> Sequence[str]:
    """Class names in any form that data sets have them in; see `read_classes`.

    Raises:
        InputError: the file is missing or is no list of class names.
    """
    from vmexport.data.formats.classes import read_classes

    return read_classes(path)
