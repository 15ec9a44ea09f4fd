"""What the benchmark scripts share: a clean commit, turns, goals, results on disk."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from sources import MANIFEST, ROOT, bundled_state, source_state

from vmexport.doctor.environment import Environment, environment
from vmexport.files import atomic_write

RESULTS = ROOT / "benchmarks/results"
PAUSE_SECONDS = 0.25
"""Between turns: thread pools of the last contender go to sleep before the next one starts."""


@dataclass(frozen=True)
class Run:
    """A run of a benchmark from its first second.

    Attributes:
        machine: processor, versions and commit when it began.
        clean: whether the sources were those of the commit.
        results: folder that results are written into; None: `RESULTS`.
        started: reading of the monotonic clock, seconds.
    """

    machine: Environment
    clean: bool
    results: Path | None = None
    started: float = field(default_factory=time.monotonic)


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows `--allow-dirty` and `--results`, which every script has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--allow-dirty", action="store_true", help="measure sources that no commit holds; the result says so"
    )
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="write results there, not into benchmarks/results"
    )
    return parser


def begin(options: argparse.Namespace) -> Run:
    """Note machine and commit before anything is measured.

    Ends the program with exit status 3 where the sources are not those of a commit: nobody could repeat the
    measurement. With `--allow-dirty` it goes on, and the result carries `"clean": false`.
    """
    commit, changed = source_state(ROOT)
    if commit is None:
        commit, changed = bundled_state(ROOT, ROOT / MANIFEST)
    if (commit is None or changed) and not options.allow_dirty:
        why = f"changed since {commit}: {', '.join(changed)}" if commit else "this is no git checkout"
        fix = "git stash, or commit; or --allow-dirty, which the result then says"
        print(f"nothing is measured: no commit holds these sources\nwhy: {why}\nfix: {fix}", file=sys.stderr)
        raise SystemExit(3)
    named = f"{commit}-dirty" if commit and changed else commit
    clean = commit is not None and not changed
    return Run(replace(environment(), commit=named), clean, options.results)


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
    """Median, fastest call and 90th percentile of each contender in milliseconds, and the number of calls."""
    found = {}
    for name, values in times.items():
        ordered = sorted(values)
        slow = ordered[round(0.9 * (len(ordered) - 1))]
        found[name] = {
            "median_ms": median(ordered) * 1e3,
            "fastest_ms": ordered[0] * 1e3,
            "p90_ms": slow * 1e3,
            "runs": len(ordered),
        }
    return found


def finish(run: Run, name: str, title: str, goals: list[Goal], details: Mapping[str, Any]) -> bool:
    """Print the goals and write `results/NAME.json`.

    Args:
        run: what `begin` returned.
        name: file name without suffix.
        title: what was measured on what.
        goals: figures with their limits.
        details: everything else that goes into the file.

    Returns:
        whether every `must` holds.
    """
    machine = run.machine
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
    save(run, name, title, goals, details)
    return all(goal.verdict != "MISSED" for goal in goals)


def save(
    run: Run, name: str, title: str, goals: list[Goal], details: Mapping[str, Any], complete: bool = True
) -> None:
    """Write `NAME.json` into the folder of the run's results.

    Args:
        run: what `begin` returned.
        name: file name without suffix.
        title: what was measured on what.
        goals: figures with their limits, as far as they are measured.
        details: everything else.
        complete: False while more is to come: what was measured survives a run that is killed.
    """
    verdicts = [{**asdict(goal), "reached": goal.verdict} for goal in goals]
    document = {"benchmark": name, "title": title, **({} if complete else {"complete": False})}
    write(run, (run.results or RESULTS) / f"{name}.json", {**document, "goals": verdicts, **details})


def print_goals(goals: Sequence[Mapping[str, Any]], digits: int) -> None:
    """A line a goal as it stands in a result: its name, value, limit, and whether that was reached."""
    for goal in goals:
        verdict = "ok" if goal["reached"] else "MISSED"
        print(f"{goal['name']}: {goal['value']:.{digits}f}, goal {goal['must']:g}: {verdict}")


def write(run: Run, path: Path, details: Mapping[str, Any]) -> None:
    """Write a result: what was found, after the machine, the commit and how long it took."""
    document = {
        "environment": asdict(run.machine),
        "clean": run.clean,
        "seconds": round(time.monotonic() - run.started, 1),
        **details,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
