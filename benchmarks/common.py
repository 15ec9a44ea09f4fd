"""What the benchmark scripts share: turns, goals, results on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from vmexport.doctor.environment import environment

RESULTS = Path(__file__).parent / "results"
PAUSE_SECONDS = 0.25
"""Between turns: thread pools of the last contender go to sleep before the next one starts."""


@dataclass(frozen=True)
class Goal:
    """A measured figure and its two limits.

    Attributes:
        name: what was measured, with the peer's name.
        value: the figure.
        must: limit that has to hold.
        target: limit that is aimed at; None where there is one limit only.
        unit: `ms`, `x` or empty.
        at_most: whether the limits are upper ones.
    """

    name: str
    value: float
    must: float
    target: float | None = None
    unit: str = "x"
    at_most: bool = True

    def meets(self, limit: float) -> bool:
        """Whether the figure keeps a limit."""
        return self.value <= limit if self.at_most else self.value >= limit

    @property
    def verdict(self) -> str:
        """`target`, `must` or `MISSED`."""
        if not self.meets(self.must):
            return "MISSED"
        return "target" if self.target is not None and self.meets(self.target) else "must"


def in_turns(
    contenders: Mapping[str, Callable[[], object]], rounds: int, seconds: float = 0.0
) -> dict[str, list[float]]:
    """Wall seconds of every contender, one call each a round, so that all see the same machine.

    Args:
        contenders: functions by name; each is called once untimed first.
        rounds: timed calls of each.
        seconds: in each turn, repeat a quick contender until about this time has passed.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        call()
    for _ in range(rounds):
        for name, call in contenders.items():
            time.sleep(PAUSE_SECONDS)
            call()  # fills caches and wakes threads; not timed
            until = time.perf_counter() + seconds
            while True:
                started = time.perf_counter()
                call()
                ended = time.perf_counter()
                times[name].append(ended - started)
                if ended >= until:
                    break
    return times


def summary(times: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median and fastest call of each contender in milliseconds."""
    return {
        name: {"median_ms": median(values) * 1e3, "fastest_ms": min(values) * 1e3, "runs": len(values)}
        for name, values in times.items()
    }


def finish(name: str, title: str, goals: list[Goal], details: Mapping[str, Any]) -> bool:
    """Print the goals and write `results/NAME.json`.

    Args:
        name: file name without suffix.
        title: what was measured on what.
        goals: figures with their limits.
        details: everything else that goes into the file.

    Returns:
        whether every `must` holds.
    """
    machine = environment()
    table = Table(title=f"{title}; {machine.cpu}, {machine.cores} cores", title_justify="left")
    for column in ("figure", "measured", "must", "target", "reached"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for goal in goals:
        sign = "<=" if goal.at_most else ">="
        target = "" if goal.target is None else f"{sign} {goal.target:g} {goal.unit}"
        table.add_row(
            goal.name,
            f"{goal.value:.3g} {goal.unit}",
            f"{sign} {goal.must:g} {goal.unit}",
            target,
            goal.verdict,
        )
    Console().print(table)
    document = {
        "benchmark": name,
        "title": title,
        "environment": asdict(machine),
        "goals": [{**asdict(goal), "reached": goal.verdict} for goal in goals],
        **details,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return all(goal.verdict != "MISSED" for goal in goals)
