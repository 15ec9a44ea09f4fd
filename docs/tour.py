"""Take the README's tour for real: run its commands, keep their output and pictures.

Writes docs/tour.txt (commands and the lines of their output that the README shows; `...` stands for the
others) and docs/images/. Makes films, trains on them and times the full-size model: about six minutes on two
quiet cores.

    python docs/tour.py [--work DIR]
    python docs/generate.py
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent
TRANSCRIPT, IMAGES = DOCS / "tour.txt", DOCS / "images"
FILM = "motion/val/left-then-up/000772.mp4"
COLUMNS = 100
ELLIPSIS = "..."


@dataclass(frozen=True)
class Step:
    """A command of the tour.

    Attributes:
        words: what is typed after `vmexport`.
        shown: lines of its output that the README shows.
        remark: comment behind the command.
    """

    words: str
    shown: str = r"(?!)"
    remark: str = ""


STEPS = (
    Step("data synth motion --clips 960 --seed 7", remark="or your own data set"),
    Step("train --data motion --config synthetic", r"^epoch +(1|8|16) |top-1"),
    Step("onnx", r"parity with", "model.safetensors → model.onnx"),
    Step("check model.safetensors model.onnx", r"same function"),
    Step(
        "eval model.onnx --data motion --reorder all --chart frame-order.png",
        r"^│ (interleaved|pairwise|blockwise|sequential) ",
    ),
    Step(f"predict model.onnx {FILM} --topk 2", r"^│ (left|right)"),
    Step(f"delta model.safetensors {FILM} --layers 0 -o delta.png", r"wrote"),
    Step("onnx videomamba_small --frames 16 -o full-size.onnx", r"parity with", "the paper's size"),
    Step("bench full-size.onnx --chart bench.png"),
)
RATE = r"\s+[\d.]+ clips/s$"
"""How fast a machine trained: docs/benchmarks.md says such things, with the machine."""

PICTURES = ("bench.png", "delta.png", "frame-order.png")


def run(step: Step, folder: Path) -> str:
    """Everything that a command prints; ends the program where it fails."""
    vmexport = [sys.executable, "-m", "vmexport", *step.words.split()]
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(
        vmexport, cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"vmexport {step.words} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def shown(step: Step, output: str) -> Iterator[str]:
    """The command and those lines of its output that match, with an ellipsis for a gap between them."""
    yield f"$ vmexport {step.words}" + (f"      # {step.remark}" if step.remark else "")
    kept, gap = False, False
    for line in output.splitlines():
        if re.search(step.shown, line):
            if gap and kept:
                yield ELLIPSIS
            yield re.sub(RATE, "", line.strip("│ ").rstrip())
            kept, gap = True, False
        else:
            gap = True


def tour() -> str:
    """The transcript as the README shows it."""
    return f"```console\n{TRANSCRIPT.read_text(encoding='utf-8').strip()}\n```"


BLOCKS: Mapping[str, Callable[[], str]] = {"tour": tour}


def main() -> None:
    """Run the steps and keep what they made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="empty folder that is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        for step in STEPS:
            print(f"vmexport {step.words}", flush=True)
            lines += shown(step, run(step, folder))
        IMAGES.mkdir(exist_ok=True)
        for name in PICTURES:
            shutil.copyfile(folder / name, IMAGES / name)
    TRANSCRIPT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
