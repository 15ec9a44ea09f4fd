"""What a build made and what it left out, as CMake reported it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmexport.errors import BuildError

BUILT, SKIPPED = "BUILT", "SKIPPED"


@dataclass(frozen=True)
class Target:
    """One target of the CMake project.

    Attributes:
        name: file name of a library.
        state: `BUILT` or `SKIPPED`.
        detail: what it is, or why it was skipped and which package has what it lacks.
    """

    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class BuildReport:
    """Outcome of `vmexport.build_plugins`.

    Attributes:
        folder: where the libraries lie.
        targets: every target that CMake reported.
        reused: the libraries were here already, made from the same sources by the same tools.
        seconds: how long it took.
        cuda: `auto`, `on` or `off`, as asked for.
        architectures: GPU architectures asked for, such as `87`; empty stands for CMake's full list.
        notes: remarks on how the request was understood.
        toolchain: versions of the tools by name.
        log: the whole output of CMake and the compilers.
    """

    folder: Path
    targets: tuple[Target, ...]
    reused: bool
    seconds: float
    cuda: str
    architectures: tuple[str, ...]
    notes: tuple[str, ...]
    toolchain: Mapping[str, str]
    log: Path


def read_targets(path: Path) -> tuple[Target, ...]:
    """Read the `report.json` that `plugins/cmake/Report.cmake` writes.

    Raises:
        BuildError: it is missing or damaged.
    """
    try:
        return parse_targets(json.loads(path.read_text(encoding="utf-8"))["targets"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(
            "CMake wrote no report of its targets", f"{path}: {error}", "vmexport plugin build --force"
        ) from error


def parse_targets(values: Iterable[Mapping[str, Any]]) -> tuple[Target, ...]:
    """Targets from JSON objects."""
    return tuple(Target(str(x["name"]), str(x["state"]), str(x["detail"])) for x in values)


def built(targets: Iterable[Target]) -> tuple[str, ...]:
    """Names of the targets that are libraries and were built."""
    return tuple(x.name for x in targets if x.state == BUILT and x.name.endswith(".so"))
