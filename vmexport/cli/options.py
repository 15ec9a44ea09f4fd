"""Options that several commands share, declared once.

An option that takes one of a fixed set of words is an enum of `vmexport.config.choices`: the help shows the
words, the shell completes them, and another word is refused with the nearest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmexport.cli import render
from vmexport.config import choices
from vmexport.config.names import is_engine, is_onnx
from vmexport.errors import UsageError

if TYPE_CHECKING:
    from vmexport.model import VideoMamba


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
FormerOut = Annotated[Path | None, typer.Option("--out", hidden=True)]
"""How `--output` of a folder was spelled before; scripts may still say it."""
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
    choices.ClsPosition | None,
    typer.Option(help="Where the class token stands.", show_default="as in the model"),
]
Sampling = Annotated[
    choices.Sampling | None,
    typer.Option(
        help="Frames of a clip: dense (a stride apart) or uniform (over the whole video).",
        show_default="as in the model",
    ),
]
InitPosition = Annotated[
    choices.InitPosition,
    typer.Option(help="From an image model's positions to a video's (paper, section 4.2)."),
]
Scale = Annotated[
    float | None,
    typer.Option(help="Factor on the sum of the directions (Vim: 0.5).", show_default="as in the model"),
]
Weights = Annotated[
    choices.Weights | None,
    typer.Option(
        help="Of a file that holds both: the trained weights, or their moving average.", show_default="model"
    ),
]
InterpolateSpace = Annotated[
    bool,
    typer.Option("--interpolate-space", help="Interpolate a learned spatial embedding for another --size."),
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
Device = Annotated[choices.Device, typer.Option(help="Where the model runs; an engine always on the GPU.")]
TrainingDevice = Annotated[
    choices.TrainingDevice, typer.Option(help="Where to train; auto: on a GPU where there is one.")
]
Fp32 = Annotated[bool, typer.Option("--fp32", help="Short for --precision fp32.")]
Fp16 = Annotated[bool, typer.Option("--fp16", help="Short for --precision fp16.")]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Short for --precision bf16.")]
Data = Annotated[
    Path,
    typer.Option(
        help="Folder or list of a data set: class folders, Kinetics CSV, SSV2 JSON, HMDB51, UCF101."
    ),
]
Split = Annotated[choices.Split, typer.Option(help="Part of the data set.")]
Layout = Annotated[choices.Layout, typer.Option(help="Format of the data set.")]
Videos = Annotated[
    Path | None,
    typer.Option(help="Folder that the names in the lists start from.", show_default="searched"),
]
Fold = Annotated[int, typer.Option(help="Which of the three splits of HMDB51 or UCF101.")]
Workers = Annotated[int, typer.Option(min=0, help="Threads that decode videos ahead; 0: none.")]
Views = Annotated[str, typer.Option(help="Views averaged, clips x crops, such as 2x3.")]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the result as JSON on stdout, and nothing else there; errors stay on stderr."
    ),
]
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


def precision_given(precision: choices.Words | None, *, fp32: bool, fp16: bool, bf16: bool) -> str | None:
    """The precision that was asked for, by `--precision` or one of its short forms; None where by none.

    Raises:
        UsageError: they ask for two.
    """
    short = {"--fp32": fp32, "--fp16": fp16, "--bf16": bf16}
    asked = {option: option.lstrip("-") for option, given in short.items() if given}
    if precision is not None:
        asked[f"--precision {precision}"] = str(precision)
    if len(set(asked.values())) > 1:
        said = list(asked)
        raise UsageError("there can be one precision", f"got {' and '.join(said)}", said[0])
    return next(iter(asked.values()), None)


def folder_given(output: Path | None, former: Path | None) -> Path | None:
    """The folder of `--output`, or of `--out` as it was spelled before.

    Raises:
        UsageError: they name two.
    """
    if None not in (output, former) and output != former:
        raise UsageError(
            "there can be one folder", f"got --output {output} and --out {former}", f"--output {output}"
        )
    return output if output is not None else former


def reading(cls_position: choices.ClsPosition | None, scale: float | None) -> dict[str, Any]:
    """How a checkpoint is to be read, as arguments of `load_checkpoint`: what the user gave of it."""
    return given(cls_position=cls_position and cls_position.value, scale=scale)


def as_read(model: str, cls_position: choices.ClsPosition | None, scale: float | None) -> str | VideoMamba:
    """MODEL, loaded where the user says how its checkpoint is to be read; else its name.

    Raises:
        UsageError: it is an exported file, which says all of that itself.
    """
    settings = reading(cls_position, scale)
    if not settings:
        return model
    if is_onnx(model) or is_engine(model):
        raise UsageError(
            f"{model} is an exported model, and knows how it computes",
            "--cls-position and --scale tell how a checkpoint is read",
            "leave them out, or export the checkpoint again with them",
        )
    from vmexport.model import resolve_model

    network, sentence = resolve_model(model, **settings)
    render.note(sentence)
    return network


def read_labels(path: Path) -> Sequence[str]:
    """Class names in any form that data sets have them in; see `read_classes`.

    Raises:
        InputError: the file is missing or is no list of class names.
    """
    from vmexport.data.formats.classes import read_classes

    return read_classes(path)
