"""Two processes learn what one learns with twice the accumulation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from patience import HANG_S
from program import environment
from tiny_runs import TINY, WORKER
from tolerances import SAME_LOSS_CURVE

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def curve(out: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_two_processes_and_twice_the_accumulation(motion: Path, tmp_path: Path) -> None:
    for words, accumulate, out in (
        ([sys.executable], 2, tmp_path / "one"),
        (LAUNCH, 1, tmp_path / "two"),
    ):
        settings = json.dumps({**TINY, "recipe.accumulate": accumulate})
        done = subprocess.run(
            [*words, str(WORKER), str(motion), str(out), settings],
            env={**environment(), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert len(one) == len(two) == 12
    for a, b in zip(one, two, strict=True):
        assert (a["kind"], a["step"]) == (b["kind"], b["step"])
        assert abs(a["loss"] - b["loss"]) <= SAME_LOSS_CURVE * a["loss"]
        assert a.get("top1") == b.get("top1")


def test_an_error_of_one_process_is_no_bug_of_the_others(motion: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()  # the first process alone looks, and refuses
    words = ["train", "--data", str(motion), "--config", "synthetic", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*LAUNCH, "-m", "vmexport", *words],
        env={**environment(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode != 0
    assert "holds a run already" in done.stderr
    assert "this is a bug" not in done.stderr


def test_an_error_that_every_process_meets_is_said_once(tmp_path: Path) -> None:
    words = ["train", "--data", str(tmp_path / "none")]
    done = subprocess.run(
        [*LAUNCH, "-m", "vmexport", *words],
        env={**environment(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.count("error: there is no data set") == 1
