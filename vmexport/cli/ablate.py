"""`vmexport ablate`: the paper's ablation tables on any data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.cli.card_settings import Settings, parse_settings
from vmexport.config.choices import AblationTable, Layout, TrainingDevice
from vmexport.errors import ExitCode
from vmexport.eval.request import EvaluationRequest
from vmexport.train.request import TrainingRequest

if TYPE_CHECKING:
    from vmexport.eval.ablation import AblationReport


def ablate(
    data: options.Data,
    table: Annotated[
        AblationTable, typer.Option(help="2: scan order, 3: positional embedding, 5: frames, 6: width.")
    ] = AblationTable.SCAN_ORDER,
    config: Annotated[
        str | None, typer.Option(help="Card with model and recipe.", show_default="by the data set's format")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of all runs.", show_default="ablation")
    ] = None,
    out: options.FormerOut = None,
    init: Annotated[
        Path | None, typer.Option(help="Image or video model to start from.", show_default="random weights")
    ] = None,
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data.", show_default="the card's")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every run.", show_default="the card's")] = None,
    views: options.Views = EvaluationRequest.views,
    settings: Settings = None,
    layout: options.Layout = Layout(TrainingRequest.layout),
    videos: options.Videos = None,
    fold: options.Fold = TrainingRequest.fold,
    device: options.TrainingDevice = TrainingDevice(TrainingRequest.device),
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Train and evaluate every variant of one of the paper's tables 2, 3, 5 and 6, and print that table.

    Finished rows are kept: the same command goes on after an interruption.
    """
    folder = options.folder_given(output, out)
    changes = parse_settings(settings, {"recipe.epochs": epochs, "recipe.seed": seed})
    with render.counted_progress("loading PyTorch and the data set") as progress:
        from vmexport.eval.ablation import ablate as run

        request = TrainingRequest(
            data=data,
            out=None if folder is None else folder / f"table-{table}",
            config=config,
            init=init,
            init_cls_position=cls_position and cls_position.value,
            init_scale=scale,
            settings=changes,
            layout=layout.value,
            videos=videos,
            fold=fold,
            device=device.value,
        )
        try:
            report = run(int(table.value), views=views, request=request, progress=progress)
        except KeyboardInterrupt as stopped:
            render.note("interrupted; what is done is kept, and the same command goes on")
            raise typer.Exit(ExitCode.INTERRUPTED) from stopped
    if as_json:
        render.as_json(report)
    else:
        _show(report)


def _show(report: AblationReport) -> None:
    """The table in the paper's form."""
    costs = ("GFLOPs",) if report.costs else ()
    rows = [
        (
            *row.cells,
            *((_giga(row.paper_macs),) if report.costs else ()),
            f"{100 * row.top1:.1f}",
        )
        for row in report.rows
    ]
    caption = "GFLOPs as the paper counts them: multiply-accumulates of in_proj, out_proj, patch embedding"
    render.table(
        f"Table {report.table}: {report.title}",
        (*report.columns, *costs, f"top-1 on {report.data}"),
        rows,
        caption if report.costs else "",
    )
    videos = {row.videos for row in report.rows}
    render.note(f"{', '.join(map(str, sorted(videos)))} validation videos a row")
    render.notes(report.notes)


def _giga(number: int) -> str:
    """In thousands of millions: one decimal as in the paper, two digits for models smaller than its own."""
    value = number / 1e9
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
