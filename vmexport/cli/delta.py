"""`vmexport delta`: where in a video a model writes into its state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmexport.cli import options, render
from vmexport.errors import UsageError


def delta(
    model: options.RequiredModel,
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Video file.")],
    layers: Annotated[
        str | None,
        typer.Option(help="Blocks to show, from 0, such as 0,8,16,23.", show_default="four, evenly spread"),
    ] = None,
    output: options.Output = Path("delta.png"),
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Draw the mean Δ of every token over the frames, for each direction (.png, or .mp4 as a film).

    A large Δ lets a token overwrite the state, a small one passes it by (paper, section 5.6).
    """
    chosen = None if layers is None else _numbers(layers)
    with render.progress("computing Δ"):
        from vmexport.eval.delta_plot import write_delta
        from vmexport.eval.step_sizes import delta_maps

        maps = delta_maps(options.as_read(model, cls_position, scale), video, layers=chosen)
        write_delta(maps, output)
    if as_json:
        render.as_json({"path": output, "video": video, "ranges": maps.ranges})
        return
    render.table(
        f"Mean Δ of the tokens of {video}",
        ("layer", "direction", "least", "mean", "largest"),
        [
            (str(one.layer), one.direction, f"{one.least:.4g}", f"{one.mean:.4g}", f"{one.largest:.4g}")
            for one in maps.ranges
        ],
    )
    render.text(f"wrote {output}")


def _numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between."""
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise UsageError(
            f"cannot read the layers {text!r}", "expected numbers with commas between", "--layers 0,8,16,23"
        ) from None
