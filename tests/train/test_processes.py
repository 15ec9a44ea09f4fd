"""Two processes learn what one learns with twice the accumulation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from program import environment
from tiny_runs import TINY, WORKER
from tolerances import SAME_LOSS_CURVE


def curve(out: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_two_processes_and_twice_the_accumulation(motion: Path, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for words, accumulate, out in (
        ([sys.executable], 2, tmp_path / "one"),
        (launch, 1, tmp_path / "two"),
    ):
        settings = json.dumps({**TINY, "recipe.accumulate": accumulate})
        done = subprocess.run(
            [*words, str(WORKER), str(motion), str(out), settings],
            env={**environment(), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert len(one) == len(two) == 12
    for a, b in zip(one, two, strict=True):
        assert (a["kind"], a["step"]) == (b["kind"], b["step"])
        assert abs(a["loss"] - b["loss"]) <= SAME_LOSS_CURVE * a["loss"]
        assert a.get("top1") == b.get("top1")
