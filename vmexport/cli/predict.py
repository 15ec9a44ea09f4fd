"""`vmexport predict`: what a model says of some videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.config.choices import Device
from vmexport.config.prediction import PredictionRequest
from vmexport.errors import ExitCode

if TYPE_CHECKING:
    from vmexport.runtime.predict import Prediction


def predict_command(
    model: options.RequiredModel,
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video or picture files.")],
    topk: Annotated[int, typer.Option(min=1, help="Classes to show for each video.")] = (
        PredictionRequest.topk
    ),
    views: options.Views = PredictionRequest.views,
    device: options.Device = Device(PredictionRequest.device),
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Classify videos with a .safetensors, .pth, .onnx or .engine model.

    A bad video does not stop the others: it is reported after them, with exit code 4.
    """
    from vmexport.runtime.predict import predict

    with render.progress(f"classifying {len(videos)} video{'s' if len(videos) != 1 else ''} with {model}"):
        predictions = predict(
            options.as_read(model, cls_position, scale),
            videos,
            topk=topk,
            views=views,
            on_error="collect",
            device=device.value,
        )
    if as_json:
        render.as_json({"model": model, "views": views, "predictions": predictions})
    else:
        for item in predictions:
            if item.error is None:
                _show(item)
    failed = [item.error for item in predictions if item.error is not None]
    for error in failed:
        render.error(error)
    if failed:
        raise typer.Exit(ExitCode.BAD_INPUT)


def _show(prediction: Prediction) -> None:
    """One table for one video."""
    rows = [(guess.label, str(guess.index), f"{guess.probability:.4f}") for guess in prediction.top]
    render.table(f"{prediction.video} ({prediction.views} views)", ("class", "index", "probability"), rows)
