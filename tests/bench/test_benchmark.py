"""`benchmark`: parity before numbers, one process a backend, weights out of the exported file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import small_architecture, small_model

import vmexport
from vmexport.bench.process import Opened, Worker
from vmexport.bench.report import FAILED, MEASURED, SKIPPED, Latency
from vmexport.bench.rows import Row, time_in_turns
from vmexport.errors import BuildError, InputError, ParityError, ShapeError, UsageError
from vmexport.export import export_onnx
from vmexport.export.weights import frozen_network
from vmexport.model import VideoMamba, freeze, save_checkpoint

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "model.onnx"
    export_onnx(small_model(), path, check=False)
    return path


def test_every_backend_is_measured_after_it_agreed(exported: Path) -> None:
    report = vmexport.benchmark(exported, runs=3, threads=1)
    assert report.passed
    assert report.reference == "torch"
    for row in report.results:
        if row.backend == "ort" and row.status == SKIPPED:
            continue  # the operator library is not built here
        assert row.status == MEASURED
        assert row.latency is not None
        assert row.latency.runs == 3
        assert row.latency.fastest_ms <= row.latency.median_ms <= row.latency.p90_ms <= row.latency.p99_ms
        assert row.clips_per_s == pytest.approx(1e3 / row.latency.median_ms)
        assert 10 * 2**20 < row.peak_memory_bytes < 4 * 2**30
        assert (row.agreement is None) == (row.backend == "torch")
    assert report.cost.tokens == small_architecture().tokens


def test_a_model_in_memory_is_exported_at_the_batch(tmp_path: Path) -> None:
    report = vmexport.benchmark(small_model(), batch=2, runs=1, threads=1, backends=("torch", "ort-body"))
    assert report.batch == 2
    assert [row.status for row in report.results] == [MEASURED, MEASURED]


def test_a_backend_that_differs_shows_no_numbers(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Worker.open

    def off(self: Worker, *words: Any) -> Opened:
        found = opened(self, *words)
        return replace(found, logits=found.logits + (1.0 if self.backend == "ort-body" else 0.0))

    monkeypatch.setattr(Worker, "open", off)
    report = vmexport.benchmark(exported, runs=1, threads=1, backends=("torch", "ort-body"))
    bad = report.results[1]
    assert (bad.status, bad.latency, bad.peak_memory_bytes) == (FAILED, None, 0)
    assert "max difference 1" in bad.reason
    with pytest.raises(ParityError):
        report.require()


def test_nan_in_the_reference_is_a_failure(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Worker, "open", lambda self, *_: Opened("broken", np.full((1, 7), np.nan, np.float32))
    )
    report = vmexport.benchmark(exported, runs=1, threads=1)
    assert all(row.status == FAILED and row.latency is None for row in report.results)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"backends": ("tensorrt",)}, UsageError),
        ({"backends": ()}, UsageError),
        ({"batch": 0}, UsageError),
        ({"runs": 0}, UsageError),
        ({"seconds": 0.0}, UsageError),
        ({"frames": 8}, UsageError),
        ({"batch": 3}, ShapeError),
        ({"clips": np.zeros((1, 3, 4, 16, 16), np.float32)}, ShapeError),
        ({"clips": np.full((1, 3, 4, 32, 32), np.nan, np.float32)}, InputError),
    ],
)
def test_bad_requests(exported: Path, settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        vmexport.benchmark(exported, **{"runs": 1, **settings})


def test_a_worker_that_dies_is_reported(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.bench.process.sys.executable", "/bin/false")
    with pytest.raises(BuildError, match="exit status 1"):
        vmexport.benchmark(exported, runs=1)


def test_errors_of_a_worker_keep_their_kind(tmp_path: Path) -> None:
    np.save(tmp_path / "clips.npy", np.zeros(1, np.float32))
    with Worker("torch") as worker, pytest.raises(InputError):
        worker.open(tmp_path / "missing.safetensors", tmp_path / "clips.npy", tmp_path / "out.npy", 1)


@pytest.mark.parametrize(
    "overrides",
    [{}, {"cls_position": "middle"}, {"cls_position": "none"}, {"position": "separate"}, {"norm": "layer"}],
)
@pytest.mark.parametrize("disturbed", [True, False])
@pytest.mark.parametrize("batch", ["1", "1:2:3"])
def test_weights_come_back_out_of_the_file(
    overrides: dict[str, Any], disturbed: bool, batch: str, tmp_path: Path
) -> None:
    """Fresh networks have equal parameters in every block, which the exporter stores once."""
    network = small_model(**overrides) if disturbed else VideoMamba(small_architecture(**overrides), seed=0)
    export_onnx(network, tmp_path / "model.onnx", batch=batch, check=False)
    found = frozen_network(tmp_path / "model.onnx").state_dict()
    for name, value in freeze(network).state_dict().items():
        assert torch.equal(found[name], value), name


def test_half_precision_weights_are_widened(tmp_path: Path) -> None:
    export_onnx(small_model(), tmp_path / "model.onnx", precision="fp16", check=False)
    found = frozen_network(tmp_path / "model.onnx").state_dict()
    for name, value in freeze(small_model(), "fp16").state_dict().items():
        assert torch.equal(found[name], value.float()), name


def test_default_files_are_found(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoint(small_model(), tmp_path / "model.safetensors")
    settings: dict[str, Any] = {"runs": 1, "threads": 1, "backends": ("torch",)}
    assert "model.safetensors" in vmexport.benchmark(**settings).model
    (tmp_path / "model.onnx").write_bytes(exported.read_bytes())
    report = vmexport.benchmark(**settings)
    assert report.model == "model.onnx"
    assert report.reference == ""
    assert report.results[0].reason == "no second backend to compare with"


def test_percentiles() -> None:
    latency = Latency.of([0.001 * value for value in range(1, 101)])
    assert latency.median_ms == pytest.approx(50.5)
    assert latency.p90_ms == pytest.approx(90.1)
    assert latency.p99_ms == pytest.approx(99.01)
    assert latency.fastest_ms == pytest.approx(1.0)
    assert latency.runs == 100


def test_turns_rotate_and_end_with_equal_runs() -> None:
    calls: list[str] = []

    class Fake:
        def __init__(self, backend: str) -> None:
            self.backend = backend

        def time(self, count: int) -> tuple[list[float], list[float]]:
            calls.append(self.backend)
            return [0.4] * count, []

    rows = [Row(Fake(name), Opened(name, np.zeros((1, 1), np.float32))) for name in "abc"]  # type: ignore[arg-type]
    time_in_turns(rows, runs=4, seconds=1.0, say=lambda _: None)
    assert [len(row.seconds) for row in rows] == [4, 4, 4]
    assert calls[3:9] == ["b", "c", "a", "c", "a", "b"]
