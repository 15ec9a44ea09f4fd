"""`vmexport data`: exit codes, JSON alone on stdout, and what an interruption leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import HANG_S
from program import environment
from typer.testing import CliRunner

from vmexport.cli.main import app

runner = CliRunner()
TINY = (
    "--clips",
    "16",
    "--classes",
    "4",
    "--seed",
    "7",
    "--size",
    "32",
    "--frames",
    "8",
    "--validation",
    "0.5",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny motion data set."""
    out = tmp_path_factory.mktemp("made") / "set"
    done = runner.invoke(app, ["data", "synth", str(out), *TINY, "--json"])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["training"], report["validation"], len(report["classes"])) == (8, 8, 4)
    return out


def test_check_passes_on_a_good_set(made: Path) -> None:
    done = runner.invoke(app, ["data", "check", str(made), "--json", "--workers", "1"])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["passed"], report["files"], report["bad"]) == (True, 16, [])


@pytest.mark.parametrize("words", [[], ["--json"], ["--quick"]])
def test_check_of_a_bad_file_is_exit_4(tmp_path: Path, words: list[str]) -> None:
    out = tmp_path / "set"
    assert runner.invoke(app, ["data", "synth", str(out), *TINY]).exit_code == 0
    bad = next(out.rglob("*.mp4"))
    bad.write_bytes(b"no film")
    done = runner.invoke(app, ["data", "check", str(out), *words])
    assert done.exit_code == 4
    assert bad.name in done.stdout


def test_index_writes_what_other_commands_open(made: Path, tmp_path: Path) -> None:
    for output in ("index.json", "lists"):
        done = runner.invoke(app, ["data", "index", str(made), "-o", str(tmp_path / output)])
        assert done.exit_code == 0, done.stderr
        checked = runner.invoke(app, ["data", "check", str(tmp_path / output), "--split", "val", "--json"])
        assert json.loads(checked.stdout)["files"] == 8


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["check", "none"], 4, "there is no data set"),
        (["check", "."], 4, "holds no data set"),
        (["check", ".", "--split", "most"], 2, "unknown split"),
        (["check", ".", "--layout", "avi"], 2, "unknown layout"),
        (["synth", "set", "--clips", "3"], 2, "too few"),
        (["synth", "set", "--layout", "avi"], 2, "unknown layout"),
        (["synth", "set", "--size", "33"], 2, "odd"),
        (["index", "none"], 4, "there is no data set"),
    ],
)
def test_bad_words(
    words: list[str], code: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = runner.invoke(app, ["data", *words])
    assert done.exit_code == code, done.stderr
    assert text in done.stderr
    assert "fix:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_existing_set_is_kept(made: Path) -> None:
    done = runner.invoke(app, ["data", "synth", str(made), *TINY])
    assert done.exit_code == 2
    assert "--force" in done.stderr


@pytest.mark.parametrize("command", ["synth", "check"])
def test_control_c_leaves_no_debris(command: str, tmp_path: Path) -> None:
    words = ["synth", "set", "--clips", "20000"]
    if command == "check":
        made = runner.invoke(app, ["data", "synth", str(tmp_path / "set"), *TINY])
        assert made.exit_code == 0
        for path in list((tmp_path / "set" / "train").rglob("*.mp4")):
            for copy in range(2000):
                (path.parent / f"{path.stem} {copy}.mp4").hardlink_to(path)
        words = ["check", "set", "--workers", "2"]
    before = set(tmp_path.iterdir())
    code = "from vmexport.cli.main import run\nrun()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "data", *words],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline()  # the line that says what is being done
    time.sleep(1)  # into the middle of it; thousands of films are left
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, messages
    assert "interrupted" in messages
    assert set(tmp_path.iterdir()) == before
