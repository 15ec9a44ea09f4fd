"""Names out of files, and names of files: every command shows them, and no terminal obeys them."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from labelled import write_set
from patience import HANG_S
from program import TINY, environment
from small import small_model
from typer.testing import CliRunner

from vmexport.cli import render
from vmexport.cli.main import app
from vmexport.export import export_onnx
from vmexport.model import save_checkpoint
from vmexport.text import from_cell, harmless, is_formula

HOSTILE = "\x1b]0;own\x07\x1b[2J\x9b2J\u202eevil\u2069\u2028\x7f[red]:warning:"
FORGED = "\n  fix: rm -r everything\nerror: no\n"
NAME = f"{HOSTILE}{FORGED}"
"""A file's name may hold all of it."""
NO_UTF8 = f"\udcff{NAME}"
"""A name with a byte that is no UTF-8; safetensors and ONNX Runtime open none such."""
LABELS = (f"=1+1;{HOSTILE}", f"$x$ {FORGED}", "@SUM(A1)\t$")

runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, an ONNX file and a data set, each with hostile names inside and outside."""
    root = tmp_path_factory.mktemp("hostile") / NAME
    root.mkdir()
    model = small_model(num_classes=3, frames=8)
    model.info = replace(model.info, labels=LABELS)
    save_checkpoint(model, root / f"{NAME}.safetensors")
    export_onnx(root / f"{NAME}.safetensors", root / f"{NAME}.onnx")
    write_set(root / "set", LABELS)
    (root / "set" / "val" / LABELS[0] / f"{NO_UTF8}.mp4").write_bytes(b"no film")
    shutil.copyfile(TINY[0], root / f"{NAME}.toml")
    return root


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folder)
    yield
    render.set_verbosity(0)


def require_harmless(*outputs: str) -> None:
    """No character that a terminal obeys but line ends, and no line that speaks for the program."""
    for output in outputs:
        for line in output.split("\n"):
            assert harmless(line) == line
        assert "\n  fix: rm -r everything" not in output
        assert "\nerror: no" not in output


MODEL, ONNX, FILM = f"{NAME}.safetensors", f"{NAME}.onnx", f"set/val/{LABELS[1]}/0.mp4"
BAD_FILM = f"set/val/{LABELS[0]}/{NO_UTF8}.mp4"
COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "info": (("info", MODEL), 0),
    "info-json": (("info", ONNX, "--json"), 0),
    "info-card": (("info", f"{NAME}.toml"), 0),
    "no-such-file": (("info", f"{NO_UTF8}.pth"), 4),
    "no-such-preset": (("info", NO_UTF8), 2),
    "predict": (("predict", ONNX, FILM), 0),
    "predict-json": (("predict", ONNX, FILM, "--json"), 0),
    "predict-bad": (("predict", ONNX, BAD_FILM, "-vv"), 4),
    "check": (("check", MODEL, ONNX), 0),
    "check-json": (("check", MODEL, ONNX, "--json"), 0),
    "data-check": (("data", "check", "set", "--workers", "1"), 4),
    "data-check-json": (("data", "check", "set", "--workers", "1", "--json"), 4),
    "data-index": (("data", "index", "set", "-o", f"{NAME}.json"), 0),
    "eval-bad": (("eval", ONNX, "--data", "set", "-vv"), 4),
    "eval": (("eval", ONNX, "--data", "set", "--skip-bad", "--predictions", "p.csv", "--confusion", "c.png",
              "--chart", "o.png", "--reorder", "all"), 0),
    "eval-json": (("eval", ONNX, "--data", "set", "--skip-bad", "--json"), 0),
    "convert": (("convert", MODEL, "-o", f"{NAME}2.safetensors"), 0),
    "convert-nowhere": (("convert", MODEL, "-o", f"{NAME}/m.safetensors"), 4),
    "onnx": (("onnx", MODEL, "-o", f"{NAME}2.onnx", "--no-check"), 0),
    "onnx-labels": (("onnx", MODEL, "--labels", f"{NAME}.toml", "-o", "l.onnx"), 4),
    "bench": (("bench", ONNX, "--backend", NAME), 2),
    "models": (("models",), 0),
    "doctor": (("doctor", NAME), 2),
    "option": (("predict", f"--{NAME}"), 2),
    "choice": (("eval", ONNX, "--data", "set", "--layout", NAME), 2),
    "set": (("train", "--data", "set", "--set", NAME), 2),
    "train-data": (("train", "--data", NAME), 4),
    "delta": (("delta", MODEL, BAD_FILM), 4),
    "trt": (("trt", f"{NAME}.pth"), 4),
    "plugin": (("plugin", "path", NAME), 2),
}  # fmt: skip


@pytest.mark.parametrize("case", COMMANDS)
def test_no_command_lets_a_name_through(case: str) -> None:
    words, status = COMMANDS[case]
    done = runner.invoke(app, list(words))
    require_harmless(done.stdout, done.stderr)
    assert done.exit_code == status, done.stderr
    assert done.stdout or done.stderr


def test_json_keeps_the_names() -> None:
    done = runner.invoke(app, ["info", ONNX, "--json"])
    document: Any = json.loads(done.stdout)
    assert tuple(document["labels"]) == LABELS
    assert document["model"] == ONNX


def test_predictions_hold_no_formula(folder: Path) -> None:
    words = ["eval", ONNX, "--data", "set", "--skip-bad", "--predictions", "formulas.csv"]
    assert runner.invoke(app, words).exit_code == 0
    with (folder / "formulas.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        head, *rows = csv.reader(stream)
    assert head == ["video", "label", "predicted", "probability"]
    assert {from_cell(row[1]) for row in rows} == set(LABELS)
    assert not any(is_formula(cell) for row in rows for cell in row)
    assert all(0 <= float(row[3]) <= 1 for row in rows)


def test_lists_hold_no_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path, ("=1+1", "jump"))
    assert runner.invoke(app, ["data", "index", ".", "--split", "val", "-o", "val/list.csv"]).exit_code == 0
    lines = (tmp_path / "val" / "list.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["./=1+1/0.mp4 0", "./=1+1/1.mp4 0", "jump/0.mp4 1", "jump/1.mp4 1"]
    done = runner.invoke(app, ["data", "check", "val/list.csv", "--json", "--quick", "--workers", "1"])
    assert json.loads(done.stdout)["files"] == 4


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_process_of_its_own_on_any_terminal(encoding: str, tmp_path: Path) -> None:
    code = "import sys; sys.argv[0] = 'vmexport'; from vmexport.cli.main import run; run()"
    for words in (("info", ONNX, "--json"), ("info", f"弓{NO_UTF8}.pth")):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env={**environment(), "PYTHONIOENCODING": encoding},
            capture_output=True,
            timeout=HANG_S,
            check=False,
        )
        require_harmless(done.stdout.decode(encoding), done.stderr.decode(encoding))
        assert done.returncode == (0 if "--json" in words else 4)
