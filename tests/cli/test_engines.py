"""predict, check, bench and info on an engine, each in its own process, on a fake GPU and TensorRT."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import fake_machine, make_engine
from films import write_demo_clip
from program import environment, vmexport
from small import small_model

from vmexport.config import BatchProfile
from vmexport.export import export_onnx
from vmexport.export.metadata import read_info
from vmexport.model import save_checkpoint
from vmexport.runtime.tensorrt.sidecar import sidecar_path

TESTS = Path(__file__).resolve().parents[1]
PACKAGES = {
    "tensorrt/__init__.py": (
        "import sys\n"
        "from fake_tensorrt import FakeTensorRT\n"
        "import cuda.bindings.runtime as cuda\n"
        "found = FakeTensorRT('10.3.0', cuda)\n"
        "found.register('SelectiveScan', 'CausalConv1d')\n"
        "sys.modules[__name__] = found\n"
    ),
    "cuda/__init__.py": "",
    "cuda/bindings/__init__.py": "",
    "cuda/bindings/runtime.py": (
        "import sys\nfrom fake_cuda import FakeCuda\nsys.modules[__name__] = FakeCuda()\n"
    ),
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path with packages that look like TensorRT and cuda-python."""
    folder = tmp_path_factory.mktemp("packages")
    for name, text in PACKAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return os.pathsep.join([str(folder), str(TESTS)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model.safetensors, model.onnx and model.engine of one small network, and other.onnx of another."""
    path = tmp_path_factory.mktemp("engine-cli")
    save_checkpoint(small_model(), path / "model.safetensors")
    export_onnx(small_model(), path / "model.onnx", batch="1:2:3", check=False)
    export_onnx(small_model(seed=3), path / "other.onnx", batch="1:2:3", check=False)
    with pytest.MonkeyPatch.context() as patch:
        machine = fake_machine(patch)
        make_engine(path / "model.engine", path / "model.onnx", machine)
        info = replace(read_info(path / "model.onnx"), profile=BatchProfile(1, 1, 2))
        make_engine(path / "narrow.engine", path / "model.onnx", machine, model=info)
    write_demo_clip(path / "film.mp4")
    return path


@pytest.fixture
def run(folder: Path, packages: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program where TensorRT and a GPU seem to be."""
    known = environment()["PYTHONPATH"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([packages, known]))
    return lambda *words, **options: vmexport(*words, folder=folder, **options)


def test_predict_needs_neither_torch_nor_onnx(run: Any) -> None:
    """What a lean device has: numpy, PyAV, TensorRT and cuda-python."""
    words = ("film.mp4", "--json", "--topk", "2")
    lean = run("predict", "model.engine", *words, blocked=("torch", "onnx", "onnxscript", "safetensors"))
    assert lean.returncode == 0, lean.stderr
    reference = run("predict", "model.onnx", *words)
    assert reference.returncode == 0, reference.stderr
    ours, theirs = (json.loads(done.stdout)["predictions"][0]["top"] for done in (lean, reference))
    assert [guess["index"] for guess in ours] == [guess["index"] for guess in theirs]
    assert [guess["probability"] for guess in ours] == pytest.approx(
        [guess["probability"] for guess in theirs]
    )


def test_check(run: Any) -> None:
    done = run("check", "model.safetensors", "model.engine", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["passed"]
    assert [batch["batch"] for batch in report["batches"]] == [1, 2, 3]


def test_check_fails_where_they_differ(run: Any) -> None:
    done = run("check", "other.onnx", "model.engine")
    assert done.returncode == 6
    assert "does not compute the same" in done.stderr
    assert "vmexport trt MODEL -o model.engine" in done.stderr


def test_an_engine_cannot_be_bisected(run: Any) -> None:
    done = run("check", "other.onnx", "model.engine", "--bisect")
    assert done.returncode == 2
    assert "does not show single blocks" in done.stderr
    assert ".onnx" in done.stderr


def test_bench_compares_then_times_the_engine_of_the_folder(run: Any) -> None:
    done = run("bench", "--runs", "2", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    rows = {row["backend"]: row for row in report["results"]}
    assert report["reference"] == "torch"
    for name in ("trt", "trt-graph"):
        row = rows[name]
        assert row["status"] == "measured", row
        assert row["agreement"]["max_abs"] < 1e-3
        assert row["latency"]["runs"] == row["device"]["runs"] == 2
        assert row["device_memory_bytes"] > 0
    assert rows["trt"]["description"] == "TensorRT 10.3.0 on Fake Orin, plugin"
    assert rows["trt-graph"]["description"] == "TensorRT 10.3.0 on Fake Orin, plugin, CUDA graph"
    assert rows["torch"]["device"] is None


def test_bench_of_a_named_engine_shows_the_gpus_figures(run: Any) -> None:
    done = run("bench", "model.engine", "--runs", "1", "--batch", "3")
    assert done.returncode == 0, done.stderr
    assert "on the GPU alone" in done.stdout
    assert "MiB of its memory" in done.stdout


def test_bench_shows_no_numbers_of_an_engine_that_differs(run: Any) -> None:
    done = run("bench", "other.onnx", "--engine", "model.engine", "--runs", "1", "--json")
    assert done.returncode == 6
    rows = {row["backend"]: row for row in json.loads(done.stdout)["results"]}
    assert rows["trt"]["status"] == "parity failed"
    assert rows["trt"]["latency"] is None
    assert "vmexport trt MODEL" in done.stderr


def test_bench_of_an_engine_that_does_not_serve_the_batch(run: Any) -> None:
    done = run("bench", "model.onnx", "--engine", "narrow.engine", "--batch", "3", "--runs", "1")
    assert done.returncode == 4
    assert "vmexport trt MODEL --batch 1:3:3" in done.stderr


def test_without_a_gpu(folder: Path) -> None:
    """This machine as it is: clear errors, and an engine that only lies in the folder is left out."""
    from vmexport.runtime.tensorrt.device import gpu_or_reason

    if gpu_or_reason()[0] is not None:
        pytest.skip("this machine has a GPU")
    for words in (["predict", "model.engine", "film.mp4"], ["check", "model.onnx", "model.engine"]):
        done = vmexport(*words, folder=folder)
        assert done.returncode == 3, done.stderr
        assert "fix: " in done.stderr
        assert "Traceback" not in done.stderr
    done = vmexport("bench", "model.engine", "--runs", "1", folder=folder)
    assert done.returncode == 3
    done = vmexport("bench", "--runs", "1", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    rows = {row["backend"]: row for row in json.loads(done.stdout)["results"]}
    assert rows["trt"]["status"] == "skipped"
    assert "fix: " in rows["trt"]["reason"]


def test_info_needs_neither_tensorrt_nor_a_gpu(folder: Path) -> None:
    blocked = ("tensorrt", "cuda", "torch", "onnx", "onnxruntime")
    done = vmexport("info", "model.engine", folder=folder, blocked=blocked)
    assert done.returncode == 0, done.stderr
    for words in (
        "TensorRT 10.3.0",
        "8.7 (other GPUs: none)",
        "Fake Orin, CUDA 12.6",
        "vmexport 0.1.0",
        "not checked",
    ):
        assert words in done.stdout
    document = json.loads(vmexport("info", "model.engine", "--json", folder=folder, blocked=blocked).stdout)
    assert document["profile"] == "1:2:3"
    assert document["engine"]["version"] == "10.3.0"
    assert document["engine"]["compute_capabilities"] == ["8.7"]


def test_info_of_damaged_engines(folder: Path, tmp_path: Path) -> None:
    content = (folder / "model.engine").read_bytes()
    (tmp_path / "cut.engine").write_bytes(content[:-9])
    assert vmexport("info", "cut.engine", folder=tmp_path).returncode == 4
    sidecar_path(tmp_path / "cut.engine").write_bytes(sidecar_path(folder / "model.engine").read_bytes())
    done = vmexport("info", "cut.engine", folder=tmp_path)
    assert done.returncode == 4
    assert "was cut short" in done.stderr
    done = vmexport("info", "model.engine", "--frames", "8", folder=folder)
    assert done.returncode == 2
    assert "vmexport trt MODEL" in done.stderr


def test_an_engine_is_no_checkpoint(folder: Path) -> None:
    done = vmexport("onnx", "model.engine", folder=folder)
    assert done.returncode == 4
    assert "is an exported model, not a checkpoint" in done.stderr
