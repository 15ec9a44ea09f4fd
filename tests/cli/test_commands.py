"""The commands, each on a model small enough to export in seconds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from patience import HANG_S
from program import TINY, environment
from typer.testing import CliRunner

from vmexport.cli import render
from vmexport.cli.main import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def _start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    render.set_verbosity(0)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as an ONNX file."""
    path = tmp_path_factory.mktemp("exported") / "m.onnx"
    done = runner.invoke(app, ["onnx", *TINY, "-o", str(path), "--classes", "5"])
    assert done.exit_code == 0, done.stderr
    return path


def run_json(*words: str) -> Any:
    """Run a command with --json; stdout must be JSON and nothing else."""
    done = runner.invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_info_of_a_preset_gives_the_known_numbers() -> None:
    found = run_json("info", "videomamba_small", "--frames", "16", "--classes", "174")
    assert found["tokens"] == 1569
    assert round(found["parameters"] / 1e6, 3) == 26.300
    assert round(found["paper_macs"] / 1e9, 3) == 34.240
    assert round(found["linear_macs"] / 1e9, 3) == 39.099
    assert round(found["scan_flops"] / 1e9, 3) == 8.329
    assert round(found["exponentials"] / 1e6, 1) == 925.4


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("videomamba_small", "dense, every 2 frames"),
        ("opengvlab_videomamba_small", "uniform over the whole video"),
    ],
)
def test_info_says_which_frames_a_model_takes(preset: str, words: str) -> None:
    done = runner.invoke(app, ["info", preset])
    assert words in done.stdout


def test_info_prints_the_conventions() -> None:
    done = runner.invoke(app, ["info", "videomamba_small"])
    assert "MACs of in_proj, out_proj and patch embedding only" in done.stdout


def test_info_of_a_file_matches_its_preset(exported: Path) -> None:
    found = run_json("info", str(exported))
    preset = run_json("info", *TINY, "--classes", "5")
    for name in ("tokens", "parameters", "paper_macs", "linear_macs", "scan_flops", "exponentials"):
        assert found[name] == preset[name]


def test_info_refuses_other_settings_for_an_exported_file(exported: Path) -> None:
    done = runner.invoke(app, ["info", str(exported), "--frames", "4"])
    assert done.exit_code == 2
    assert "has frames 2, not 4" in done.stderr


def test_models_lists_the_presets() -> None:
    names = {card["name"] for card in run_json("models")}
    assert {"videomamba_small", "videomamba_tiny", "opengvlab_videomamba_small", "vim_tiny"} <= names


def test_convert_keeps_labels_and_info_reads_them(fixtures_dir: Path, tmp_path: Path) -> None:
    classes = run_json("info", str(fixtures_dir / "opengvlab_videomamba.pth"))["architecture"]["num_classes"]
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"class number {index}\n" for index in range(classes)), encoding="utf-8")
    written = run_json("convert", str(fixtures_dir / "opengvlab_videomamba.pth"), "--labels", str(labels))
    assert written["path"] == "model.safetensors"
    assert run_json("info", "model.safetensors")["labels"][1] == "class number 1"


def test_too_few_labels_are_refused(fixtures_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("only one\n", encoding="utf-8")
    done = runner.invoke(
        app, ["convert", str(fixtures_dir / "opengvlab_videomamba.pth"), "--labels", "labels.txt"]
    )
    assert done.exit_code == 4
    assert "labels do not match" in done.stderr
    assert not (tmp_path / "model.safetensors").exists()


def test_onnx_writes_a_checked_file(tmp_path: Path) -> None:
    preset = ("videomamba_tiny", "--frames", "2", "--size", "32")
    found = run_json("onnx", *preset, "--classes", "5", "--batch", "1:2:3")
    assert found["path"] == "model.onnx"
    assert [batch["batch"] for batch in found["parity"]["batches"]] == [1, 2, 3]
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]


def test_words_chain_by_default_names(fixtures_dir: Path) -> None:
    """convert, onnx, bench, one after the other in one folder, with no file named after the first."""
    assert runner.invoke(app, ["convert", str(fixtures_dir / "opengvlab_videomamba.pth")]).exit_code == 0
    exported = runner.invoke(app, ["onnx"])
    assert exported.exit_code == 0, exported.stderr
    assert "took model.safetensors of this folder" in exported.stderr
    report = run_json("bench", "--runs", "2")
    assert report["model"] == "model.onnx"
    assert report["results"][0]["status"] == "measured"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["onnx", "videomamba_tiny", "--frames", "3"], 2, "frames must be a multiple of tubelet"),
        (["onnx", "videomamba_tiny", "--size", "30"], 2, "size must be a multiple of patch_size"),
        (["onnx", "videomamba_tinny"], 2, "near names: videomamba_tiny"),
        (["onnx", *TINY, "--batch", "4:1:8"], 2, "expected 1 <= min <= opt <= max"),
        (["onnx", *TINY, "--batch", "many"], 2, "cannot read the batch"),
        (["onnx", *TINY, "--opset", "7"], 2, "opset 7"),
        (["onnx", *TINY, "-o", "model.txt"], 2, "an ONNX file ends in .onnx"),
        (["onnx", *TINY, "-o", "no/such/folder/m.onnx"], 4, "mkdir -p no/such/folder"),
        (["onnx", "missing.safetensors"], 4, "missing.safetensors"),
        (["onnx", *TINY, "--labels", "missing.txt"], 4, "cannot read"),
        (["info", "missing.onnx"], 4, "no such file"),
        (["check", "missing.onnx", "missing.onnx"], 4, "no such file"),
        (["bench", "missing.onnx"], 4, "no such file"),
        (["bench", *TINY, "--runs", "0"], 2, "--runs"),
        (["convert", "missing.pth"], 4, "no such file"),
        (["convert", "missing.pth", "-o", "model.onnx"], 2, "-o model.safetensors"),
    ],
)
def test_bad_words_and_files(words: list[str], code: int, text: str, tmp_path: Path) -> None:
    done = runner.invoke(app, words)
    assert done.exit_code == code, done.stderr
    assert text in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_from_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"no model at all")
    for words in (["info", "other.onnx"], ["bench", "other.onnx"], ["check", "other.onnx", "other.onnx"]):
        assert runner.invoke(app, words).exit_code == 4


def test_check_passes_on_equal_and_fails_on_different_models(exported: Path, tmp_path: Path) -> None:
    assert run_json("check", str(exported), str(exported))["passed"]
    other = damaged(exported, tmp_path / "other.onnx")
    done = runner.invoke(app, ["check", str(exported), str(other), "--bisect", "--json"])
    assert done.exit_code == 6
    report = json.loads(done.stdout)
    assert not report["passed"]
    assert report["first_difference"] == "block_03"
    assert "does not compute the same" in done.stderr


def damaged(path: Path, target: Path) -> Path:
    """A copy whose fourth block projects something else."""
    import onnx

    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.name == "blocks.3.mixer.out_weight")
    values = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values * 1.5, tensor.name))
    onnx.save(model, target)
    return target


def test_memory_that_cannot_suffice_is_exit_7(tmp_path: Path) -> None:
    """A clip of 4 GB, within the budget of a network, in a process that may have 5 GB."""
    words = f"{sys.executable} -m vmexport onnx videomamba_tiny --frames 7000 --size 224 --no-check"
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -v 5000000; exec {words}"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "memory" in done.stderr
    assert list(tmp_path.iterdir()) == []


LINGERING = f"""
import sys, time
from vmexport.cli.main import run
from vmexport.export import onnx
def verify(*_):
    print("lingers", file=sys.stderr, flush=True)
    time.sleep({HANG_S})
onnx.verify = verify
sys.argv[0] = "vmexport"
run()
"""
"""The program, which verifies until it is told to stop."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_nothing(number: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LINGERING, "onnx", *TINY],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "lingers" in line:
            break
    assert len(list(tmp_path.iterdir())) == 1  # what is being written
    process.send_signal(number)
    _, errors = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(("device", "code"), [("cuda", 3), ("tpu", 2)])
def test_predict_uses_the_device_asked_for_or_none(exported: Path, device: str, code: int) -> None:
    done = runner.invoke(app, ["predict", str(exported), "clip.mp4", "--device", device])
    assert done.exit_code == code, done.stderr
    assert "device" in done.stderr or "CUDAExecutionProvider" in done.stderr
    assert done.stdout == ""
