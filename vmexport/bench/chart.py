"""The table of a benchmark as bars."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vmexport.bench.report import BenchmarkReport
from vmexport.errors import ParityError
from vmexport.files import atomic_write
from vmexport.package import VERSION
from vmexport.text import drawn

BAR, WHISKER = "#4c78a8", "#333333"


def draw_chart(report: BenchmarkReport, path: Path | str) -> None:
    """Write `chart` as a PNG.

    Raises:
        ParityError: no row has numbers.
        InputError: the place cannot be written.
        BuildError: the disk is full.
    """
    figure = chart(report)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def chart(report: BenchmarkReport) -> Figure:
    """A bar a backend: median milliseconds of one call, with a whisker to the 90th percentile.

    Rows without numbers are left out; below the bars stands what the numbers depend on.

    Raises:
        ParityError: no row has numbers.
    """
    rows = [(row, row.latency) for row in report.results if row.latency is not None]
    if not rows:
        raise ParityError(
            f"there is nothing to draw of {report.model}", "no backend was measured", "vmexport doctor"
        )
    slowest = max(latency.p90_ms for _, latency in rows)
    medians = [latency.median_ms for _, latency in rows]
    whiskers = [latency.p90_ms - latency.median_ms for _, latency in rows]
    figure = Figure(figsize=(8, 1.4 + 0.6 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = range(len(rows))
    axes.barh(
        places, medians, height=0.6, color=BAR, xerr=([0.0] * len(rows), whiskers),
        error_kw={"ecolor": WHISKER, "capsize": 3},
    )  # fmt: skip
    for place, (row, latency) in enumerate(rows):
        digits = 0 if latency.median_ms >= 100 else 2
        text = f"  {latency.median_ms:,.{digits}f} ms, {row.clips_per_s:.3g} clips/s"
        axes.text(latency.p90_ms, place, text, va="center", fontsize=9)
    axes.set_yticks(places, [drawn(row.description) for row, _ in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.6 * slowest)
    axes.set_xlabel("milliseconds a call: median, and 90th percentile")
    axes.spines[["top", "right"]].set_visible(False)
    shape = " x ".join(map(str, report.clip_shape[1:]))
    title = f"{report.model}: {report.batch} clip(s) of {shape}, {report.precision}"
    figure.suptitle(textwrap.fill(drawn(title), 90), fontsize=10)
    figure.supxlabel(drawn(_provenance(report)), fontsize=7, color="0.35")
    return figure


def _provenance(report: BenchmarkReport) -> str:
    """Machine and versions in a line."""
    machine = report.environment
    counts = {row.latency.runs for row in report.results if row.latency is not None}
    runs = " to ".join(map(str, sorted({min(counts), max(counts)})))
    commit = f" ({machine.commit})" if machine.commit else ""
    return (
        f"{machine.cpu}, {report.threads} threads; {runs} runs a row, in turns; "
        f"Python {machine.python}, vmexport {VERSION}{commit}"
    )
