"""`vmexport eval`: accuracy of a model on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.config.choices import Device, Layout, Order, Split
from vmexport.errors import UsageError
from vmexport.eval.reorder import ALL, parse_reorderings
from vmexport.eval.request import EvaluationRequest
from vmexport.files import require_writable

if TYPE_CHECKING:
    from vmexport.eval.report import EvaluationReport

CLASSES_SHOWN = 40
"""Rows of the per-class table on a terminal; JSON has them all."""


def _orders(incomplete: str) -> list[str]:
    """Completions of `--reorder`: of its last word, after a comma too."""
    said, comma, word = incomplete.rpartition(",")
    return [said + comma + order for order in (ALL, *Order.all()) if order.startswith(word)]


def eval_command(
    model: options.RequiredModel,
    data: options.Data,
    split: options.Split = Split(EvaluationRequest.split),
    layout: options.Layout = Layout(EvaluationRequest.layout),
    videos: options.Videos = None,
    fold: options.Fold = EvaluationRequest.fold,
    views: options.Views = EvaluationRequest.views,
    reorder: Annotated[
        str,
        typer.Option(
            metavar=f"[{'|'.join((ALL, *Order.all()))}],...",
            help="Orders of the frames; several with commas between.",
            autocompletion=_orders,
        ),
    ] = ",".join(EvaluationRequest.reorder),
    confusion: Annotated[
        Path | None, typer.Option(help="PNG file for the confusion matrix.", show_default=False)
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option(
            help="PNG file for accuracy by order of the frames; needs --reorder.", show_default=False
        ),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="CSV file for what was predicted of each video.", show_default=False)
    ] = None,
    workers: options.Workers = EvaluationRequest.workers,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave unreadable videos out and report them.")
    ] = False,
    device: options.Device = Device(EvaluationRequest.device),
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Evaluate a .safetensors, .pth, .onnx or .engine model on a data set.

    Softmax is averaged over clips and crops. With --reorder all it prints how the model fares when the
    order of the frames is disturbed (the paper's Table 1).
    """
    from vmexport.eval.evaluation import evaluate

    for path in (confusion, chart, predictions):
        if path is not None:
            require_writable(path)
    orders = parse_reorderings(reorder)
    if chart is not None and len(orders) < 2:
        raise UsageError(
            f"{chart} would hold a single bar",
            f"the only order of the frames is {orders[0]}",
            "--reorder all",
        )
    if confusion is not None or chart is not None:  # where matplotlib is missing, before the work
        from vmexport.eval.plot import plot_confusion, plot_orders
    request = EvaluationRequest(
        split=split.value,
        layout=layout.value,
        videos=videos,
        fold=fold,
        views=views,
        reorder=orders,
        workers=workers,
        skip_bad=skip_bad,
        device=device.value,
    )
    with render.counted_progress(f"evaluating {model}") as progress:
        report = evaluate(
            options.as_read(model, cls_position, scale), data, request=request, progress=progress
        )
    if confusion is not None:
        plot_confusion(report, confusion)
    if chart is not None:
        plot_orders(report, chart)
    if predictions is not None:
        from vmexport.eval.report import write_results

        write_results(report, predictions)
    if as_json:
        render.as_json(report)
    else:
        _show(report)


def _show(report: EvaluationReport) -> None:
    """Totals, classes, orders, what was skipped."""
    from vmexport.eval.request import NATURAL

    shown = report.classes[:CLASSES_SHOWN]
    rest = len(report.classes) - len(shown)
    render.table(
        "Classes",
        ("class", "videos", "top-1", "top-5"),
        [(one.label, str(one.videos), share(one.top1), share(one.top5)) for one in shown],
        f"and {rest} more (see --json)" if rest else "",
    )
    if list(report.reorder) != [NATURAL]:
        render.table(
            "Order of the frames",
            ("reordering strategy", "top-1"),
            [(name, share(value)) for name, value in report.reorder.items()],
        )
    render.facts(
        "Evaluated",
        {
            "model": f"{report.model} ({report.backend})",
            "data": f"{report.data}, {report.split}",
            "videos": f"{report.videos}, {report.views} views each",
            "top-1": share(report.top1),
            "top-5": share(report.top5),
            "time": f"{report.seconds:.1f} s",
        },
    )
    render.notes(report.notes)
    for one in report.skipped:
        render.note(f"skipped {one.path}: {one.reason}")


def share(value: float | None) -> str:
    """A fraction as a percentage; a dash for none."""
    return "-" if value is None else f"{value:.1%}"
