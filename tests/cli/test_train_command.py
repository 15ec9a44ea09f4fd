"""`vmexport train` as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import HANG_S, wait_until
from program import environment, vmexport
from typer.testing import CliRunner

from vmexport.cli.main import app
from vmexport.data import SynthSettings, synthesize

SMALL = (
    "--epochs", "1", "--size", "32", "--frames", "4", "--batch-size", "4", "--workers", "1",
    "--device", "cpu",
    "--set", "architecture.d_model=16", "--set", "architecture.depth=1",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with one data set."""
    synthesize(tmp_path / "data", SynthSettings(clips=16, classes=2, size=32, frames=8, validation=0.25))
    return tmp_path


def test_train_then_onnx_with_no_argument(folder: Path) -> None:
    done = vmexport("train", *SMALL, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "took the data set data" in done.stderr
    assert "epoch   1" in done.stderr
    assert "runs/synthetic-1/model.safetensors" in done.stdout
    exported = vmexport("onnx", "--json", folder=folder)
    assert exported.returncode == 0, exported.stderr
    film = next((folder / "data").rglob("*.mp4"))
    predicted = vmexport("predict", "model.onnx", str(film), "--json", folder=folder)
    assert predicted.returncode == 0, predicted.stderr
    assert "left-then-up" in predicted.stdout


def test_json_on_stdout_and_nothing_else(folder: Path) -> None:
    done = vmexport(
        "train", "--data", "data", "--config", "synthetic", "--out", "r", *SMALL, "--json", folder=folder
    )
    report = json.loads(done.stdout)
    assert report["out"] == "r"
    assert report["epochs"][0]["epoch"] == 1
    assert 0 <= report["top1"] <= 1


def test_ctrl_c_says_how_to_go_on_and_that_works(folder: Path) -> None:
    words = [sys.executable, "-m", "vmexport", "train", "--out", "r", *SMALL, "--epochs", "50000"]
    process = subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: (folder / "r" / "epochs.csv").is_file() or process.poll() is not None, "no epoch ends")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert "vmexport train --resume r" in out
    assert "Traceback" not in err
    step = max(int(path.stem[5:]) for path in (folder / "r" / "checkpoints").glob("*.safetensors"))
    assert f"of step {step}" in err
    done = vmexport("train", "--resume", "r", "--epochs", "49999", folder=folder)
    assert done.returncode == 4
    assert "recipe.epochs was 50000, now 49999" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--data", "nowhere"], 4, "nowhere"),
        (["--config", "kinetics"], 2, "use kinetics400"),
        (["--set", "epochs=3"], 2, "unknown setting 'epochs'"),
        (["--set", "recipe.epoch=3"], 2, "unknown recipe setting"),
        (["--set", "recipe.epochs"], 2, "expected NAME=VALUE"),
        (["--set", "recipe.epochs=3", "--epochs", "2"], 2, "recipe.epochs is given twice"),
        (["--lr", "nan"], 2, "learning_rate must be a number"),
        (["--device", "tpu"], 2, "unknown device"),
        (["--init", "nothing.pth"], 4, "cannot read nothing.pth"),
        (["--resume", "nowhere"], 4, "no run to resume"),
    ],
)
def test_mistakes(
    folder: Path, words: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["train", *words])
    assert done.exit_code == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "runs").exists()


def test_one_class_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "val"):
        shutil.rmtree(folder / "data" / part / "up-then-left")
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["train"])
    assert done.exit_code == 4
    assert "all of one class" in done.stderr
