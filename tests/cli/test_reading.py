"""How a checkpoint is read can be said to every command that loads one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sets import make_film
from typer.testing import CliRunner

from vmexport.cli import render
from vmexport.cli.main import app

VIM = ["--cls-position", "middle", "--scale", "0.5"]
runner = CliRunner()


@pytest.fixture(autouse=True)
def _start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    render.set_verbosity(0)


@pytest.mark.parametrize(
    "words",
    [
        ["info", "CHECKPOINT"],
        ["convert", "CHECKPOINT"],
        ["onnx", "CHECKPOINT", "-o", "again.onnx"],
        ["check", "CHECKPOINT", "CHECKPOINT"],
        ["predict", "CHECKPOINT", "FILM"],
        ["bench", "CHECKPOINT", "--runs", "1"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_that_loads_a_checkpoint_takes_the_reading(
    words: list[str], tmp_path: Path, fixtures_dir: Path
) -> None:
    names = {"CHECKPOINT": str(fixtures_dir / "vim.pth"), "FILM": str(make_film(tmp_path / "film.mp4"))}
    words = [names.get(word, word) for word in words]
    refused = runner.invoke(app, words)
    assert refused.exit_code == 4
    assert "can be read in two ways" in refused.stderr
    done = runner.invoke(app, [*words, *VIM, "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    if "architecture" in found:
        assert (found["architecture"]["cls_position"], found["architecture"]["scale"]) == ("middle", 0.5)


def test_an_exported_file_knows_how_it_computes(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"anything")
    done = runner.invoke(app, ["predict", "m.onnx", "film.mp4", *VIM])
    assert done.exit_code == 2
    assert "--cls-position and --scale tell how a checkpoint is read" in done.stderr
