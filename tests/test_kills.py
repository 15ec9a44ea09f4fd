"""Killed at random moments, every command that writes: nothing half-written, nothing lost, no debris after.

`pytest tests/test_kills.py -m integration --moments 100` kills each command a hundred times.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from patience import HANG_S
from program import environment
from safetensors.torch import load_file
from tiny_runs import TINY as TINY_RUN

from vmexport.model import create_model, save_checkpoint

pytestmark = pytest.mark.integration

FORKING = Path(__file__).with_name("forking.py")
CARD = Path(__file__).with_name("smallest.toml")


class Program:
    """Runs command lines in forked children, and kills them where it is told to.

    Args:
        folder: working directory.
        log: file for what the children print.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, str(FORKING), str(log), str(CARD)],
            cwd=folder,
            env={**environment(), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, words: list[str], kill_after_s: float | None = None) -> int:
        """Run a command line, or kill it after a time; its status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"words": words, "kill_after_s": kill_after_s}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate(timeout=HANG_S)


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        words: its command line.
        again: that of the next run, after a kill.
        result: what it writes.
        replaces: whether an earlier result lies there when it begins.
    """

    words: list[str]
    again: Callable[[Path], list[str]]
    result: str
    replaces: bool = True


def case(*words: str, result: str, replaces: bool = True) -> Case:
    """A command whose next run is itself."""
    return Case(list(words), lambda folder: list(words), result, replaces)


TRAIN = [
    *("train", "--data", "set", "--config", "synthetic", "--output", "run", "--workers", "0"),
    *("--device", "cpu", "--checkpoint-steps", "1"),
    *(word for name, value in TINY_RUN.items() for word in ("--set", f"{name}={value}")),
]


def resumed(folder: Path) -> list[str]:
    """A run that had begun goes on."""
    if not (folder / "run" / "config.json").is_file():
        return TRAIN
    return ["train", "--resume", "run", "--workers", "0", "--device", "cpu", "--checkpoint-steps", "1"]


SYNTH = ("--clips", "16", "--classes", "4", "--size", "32", "--frames", "8", "--validation", "0.5")
CASES = {
    "onnx": case("onnx", str(CARD), "-o", "model.onnx", result="model.onnx"),
    "convert": case("convert", "source.safetensors", "-o", "m.safetensors", result="m.safetensors"),
    "data synth": case("data", "synth", "new", *SYNTH, "--force", result="new"),
    "data index": case("data", "index", "set", "-o", "index.json", result="index.json"),
    "data index lists": case("data", "index", "set", "-o", "lists", result="lists"),
    "train": Case(TRAIN, resumed, "run", replaces=False),
}
VOLATILE = ("seconds", "clips_per_s")


def content(path: Path) -> dict[str, str]:
    """Digests of a file, or of all files of a folder; debris, and what a run says of times, is left out."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {
        str(file.relative_to(path)): hashlib.sha256(lasting(file)).hexdigest()
        for file in files
        if file.name not in ("epochs.csv", "curves.png")
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    }


def lasting(file: Path) -> bytes:
    """The bytes of a file, without times."""
    if file.name == "log.jsonl":
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        kept = [{key: value for key, value in line.items() if key not in VOLATILE} for line in lines]
        return json.dumps(kept).encode()
    if file.suffix == ".safetensors" and "run" in file.parts:  # its metadata have times
        return b"".join(
            name.encode() + tensor.numpy().tobytes() for name, tensor in sorted(load_file(file).items())
        )
    return file.read_bytes()


def debris(folder: Path) -> list[Path]:
    """What is hidden anywhere in a folder."""
    return [path for path in folder.rglob(".*") if path.is_file() or path.is_dir()]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    folder = tmp_path / "work"
    folder.mkdir()
    save_checkpoint(create_model(CARD), folder / "source.safetensors")
    one = Program(folder, tmp_path / "log")
    yield one
    one.close()


@pytest.mark.parametrize("name", CASES)
def test_a_kill_at_any_moment(tmp_path: Path, program: Program, name: str, moments: int) -> None:
    one, folder = CASES[name], tmp_path / "work"
    assert program.run(["data", "synth", "set", *SYNTH]) == 0, program.log.read_text()
    assert program.run(one.words) == 0, program.log.read_text()
    whole, took = content(folder / one.result), timed(program, one.words, one, folder)
    chance, tried, killed = random.Random(name), 0, 0
    while killed < moments and tried < 10 * moments:
        tried += 1
        if not one.replaces:
            shutil.rmtree(folder / one.result)
        status = program.run(one.words, kill_after_s=chance.uniform(0, took))
        killed += status == -signal.SIGKILL
        if one.replaces:  # the old one or the new one, both whole
            assert content(folder / one.result) == whole
        assert program.run(one.again(folder)) == 0, program.log.read_text()
        assert content(folder / one.result) == whole
        assert debris(folder) == []
    print(f"{name}: killed {killed} times within {took:.2f} s of work, {tried - killed} ended before")
    assert killed == moments


def timed(program: Program, words: list[str], one: Case, folder: Path) -> float:
    """Seconds that a command takes once everything it reads is at hand."""
    if not one.replaces:
        shutil.rmtree(folder / one.result)
    begun = time.monotonic()
    assert program.run(words) == 0, program.log.read_text()
    return time.monotonic() - begun
