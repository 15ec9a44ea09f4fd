"""The benchmark's table as bars: what has numbers is drawn, and what they depend on stands below."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small import small_architecture, small_model
from typer.testing import CliRunner

from vmexport.bench.chart import chart, draw_chart
from vmexport.bench.report import FAILED, MEASURED, SKIPPED, BackendResult, BenchmarkReport, Latency
from vmexport.cli.main import app
from vmexport.config.flops import count
from vmexport.doctor.environment import environment
from vmexport.errors import InputError, ParityError
from vmexport.model import save_checkpoint

pytest.importorskip("matplotlib", reason="pictures are drawn with matplotlib")


def row(name: str, median_ms: float) -> BackendResult:
    latency = Latency(median_ms, 1.1 * median_ms, 1.2 * median_ms, 0.9 * median_ms, 20)
    return BackendResult("ort", name, MEASURED, latency=latency, clips_per_s=1e3 / median_ms)


@pytest.fixture
def report() -> BenchmarkReport:
    """Two rows with numbers, one that failed, one that was skipped."""
    architecture = small_architecture()
    results = (
        row("PyTorch", 40.0),
        BackendResult("ort-body", "a wrong one", FAILED, "differs"),
        row("ONNX Runtime", 10.0),
        BackendResult("trt", "TensorRT", SKIPPED, "no GPU"),
    )
    return BenchmarkReport(
        model="model.onnx",
        precision="fp32",
        batch=1,
        clip_shape=architecture.clip_shape,
        threads=2,
        cost=count(architecture, 1),
        reference="torch",
        results=results,
        environment=environment(),
    )


def test_bars_are_the_measured_rows(report: BenchmarkReport) -> None:
    figure = chart(report)
    axes: Any = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["PyTorch", "ONNX Runtime"]
    assert [bar.get_width() for bar in axes.patches] == [40.0, 10.0]
    assert [text.get_text().strip() for text in axes.texts] == [
        "40.00 ms, 25 clips/s",
        "10.00 ms, 100 clips/s",
    ]
    assert "milliseconds" in axes.get_xlabel()
    assert "1 clip(s) of 4 x 32 x 32, fp32" in figure.get_suptitle()


def test_the_machine_stands_below(report: BenchmarkReport) -> None:
    below = chart(report).get_supxlabel()
    assert report.environment.cpu in below
    assert "2 threads; 20 runs a row" in below
    uneven = replace(report, results=(*report.results, row("slow", 400.0)))
    last = uneven.results[-1]
    assert last.latency is not None
    few = replace(last, latency=replace(last.latency, runs=5))
    assert "5 to 20 runs a row" in chart(replace(report, results=(*report.results, few))).get_supxlabel()


def test_nothing_measured_is_no_picture(report: BenchmarkReport, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="nothing to draw"):
        draw_chart(replace(report, results=report.results[1:2]), tmp_path / "bench.png")
    with pytest.raises(InputError, match="does not exist"):
        draw_chart(report, tmp_path / "nowhere" / "bench.png")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    save_checkpoint(small_model(), tmp_path / "model.safetensors")
    words = ["bench", "model.safetensors", "--runs", "1", "--threads", "1", "--json"]
    done = CliRunner().invoke(app, [*words, "--chart", "bench.png"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["passed"]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("vmexport.bench.measure.benchmark", None)  # a bad place is refused before the work
    assert CliRunner().invoke(app, [*words, "--chart", "nowhere/bench.png"]).exit_code == 4
