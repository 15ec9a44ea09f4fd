"""`vmexport check`: do two artefacts compute the same function?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render

if TYPE_CHECKING:
    from vmexport.runtime.compare import ParityReport


def check(
    a: Annotated[str, typer.Argument(metavar="A", help="The reference: a file or a preset's name.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other side: a file or a preset's name.")],
    bisect: Annotated[
        bool, typer.Option("--bisect", help="Where they differ, name the first block that does.")
    ] = False,
    threads: options.Threads = 0,
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Compare two models at every batch of their profiles; exit code 6 where they differ.

    So they do where their labels or their preprocessing do. What else differs in what they say of themselves,
    and a parity record that is missing or was changed, is named.
    """
    with render.progress("loading") as say:
        from vmexport.check import check_parity

        report = check_parity(
            *(options.as_read(side, cls_position, scale) for side in (a, b)),
            bisect=bisect,
            threads=threads,
            progress=say,
        )
    if as_json:
        render.as_json(report, "passed", "reason")
    else:
        _show(report)
    report.require()


def _verdict(report: ParityReport) -> str:
    """In a few words; never that all is the same where something is not."""
    if not report.same_function:
        return "NOT the same function"
    if report.differences:
        return "the same logits, NOT the same answers"
    return "same logits, see the notes below" if report.remarks else "same function"


def _show(report: ParityReport) -> None:
    """One line a batch."""
    limit = report.tolerance
    render.table(
        f"{report.a} against {report.b}: {_verdict(report)}",
        ("batch", "finite", "max difference", "relative", "cosine", "same first class", "verdict"),
        [
            (
                str(batch.batch),
                "yes" if batch.finite else "NO",
                f"{batch.max_abs:.3g}",
                f"{batch.max_rel:.3g}",
                f"{batch.cosine:.7f}",
                f"{batch.top1:.0%}",
                "passed" if batch.within(limit) else "FAILED",
            )
            for batch in report.batches
        ],
        caption=f"limits for {report.precision}: relative {limit.relative:g}, cosine {limit.cosine}",
    )
    for line in report.differences:
        render.text(f"differs: {line}")
    for line in report.remarks:
        render.text(f"note: {line}")
    if report.first_difference:
        render.text(f"first stage that differs: {report.first_difference}")
