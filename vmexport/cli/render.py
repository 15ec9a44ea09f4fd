"""All printing: tables and JSON on stdout, notes, progress and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from vmexport.config import progress as steps
from vmexport.config.progress import Say
from vmexport.errors import VmexportError
from vmexport.text import harmless, harmless_json, harmless_lines

if TYPE_CHECKING:
    from vmexport.doctor.finding import Finding

_state = {"verbosity": 0}


def verbosity() -> int:
    """How many `-v` were given."""
    return _state["verbosity"]


def set_verbosity(level: int) -> None:
    """Set by the `-v` option: 1 shows log messages, 2 debug messages and tracebacks."""
    _state["verbosity"] = level
    if level:
        logging.basicConfig(level=logging.DEBUG if level > 1 else logging.INFO)
        for handler in logging.root.handlers:
            handler.setFormatter(_HarmlessFormatter(logging.BASIC_FORMAT))


class _HarmlessFormatter(logging.Formatter):
    """Log messages repeat names out of files too."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, and the traceback where it has one."""
        return harmless_lines(super().format(record))


def guard_libraries() -> None:
    """Make what libraries say past this module harmless too: warnings, and messages without `-v`."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_HarmlessFormatter())
    before = warnings.formatwarning
    warnings.formatwarning = lambda *told, **more: f"{harmless_lines(before(*told, **more))}\n"


_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?\s?[%MG]?(iB)?$")
"""Cells that read as numbers: 1,569 or 3.2e-07 or 26.3 M or 410 MiB."""

_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
"""Consoles that take no part of a text for markup or for the name of a picture."""

_ERR = Console(stderr=True, soft_wrap=True, **_PLAIN)
WIDTH_WITHOUT_TERMINAL = 140
"""Columns of a table in a file or a pipe, where nobody says how wide the paper is."""


def _out() -> Console:
    """Console on the current stdout."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, **_PLAIN)


def text(line: str) -> None:
    """One plain line on stdout."""
    _out().print(harmless(line), soft_wrap=True)


def note(line: str) -> None:
    """One plain line on stderr."""
    _ERR.print(harmless(line))


def notes(lines: Sequence[str]) -> None:
    """Remarks of a model, one a line, on stderr."""
    for line in lines:
        note(f"note: {line}")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    """A table on stdout; columns after the first are aligned to the right when they hold numbers."""
    result = Table(
        title=harmless(title), caption=harmless(caption) or None, title_justify="left", caption_justify="left"
    )
    for index, column in enumerate(columns):
        cells = [row[index] for row in rows]
        numeric = index > 0 and any(cells) and all(_NUMBER.match(cell) for cell in cells if cell)
        result.add_column(harmless(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        result.add_row(*(harmless(cell) for cell in row))
    _out().print(result)


def facts(title: str, values: Mapping[str, str], caption: str = "") -> None:
    """A table of names and values on stdout."""
    result = Table(
        title=harmless(title), caption=harmless(caption) or None, show_header=False, title_justify="left"
    )
    result.caption_justify = "left"
    result.add_column("name", no_wrap=True)
    result.add_column("value", overflow="fold")
    for name, value in values.items():
        result.add_row(harmless(name), harmless(value))
    _out().print(result)


def findings(title: str, found: Sequence[Finding]) -> None:
    """A table of findings on stdout; fixes stand below it, whole, so that they can be copied."""
    table(
        title,
        ("name", "status", "detail", "for"),
        [(one.name, one.status, one.detail, one.purpose) for one in found],
    )
    for fix in dict.fromkeys(one.fix for one in found if one.fix):
        text(f"  {', '.join(one.name for one in found if one.fix == fix)}: {fix}")


def as_json(value: Any, *properties: str) -> None:
    """The value as JSON on stdout, which then holds nothing else.

    Args:
        value: what `plain` takes.
        properties: names of further attributes that go into the object: a report's properties, which are
            no fields.
    """
    document = plain(value)
    if properties:
        document = {**{name: plain(getattr(value, name)) for name in properties}, **document}
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(document, indent=2, ensure_ascii=not unicode, allow_nan=False)
    print(harmless_json(text))


def plain(value: Any) -> Any:
    """Dataclasses, errors, enums, paths and numpy values as what JSON can hold; NaN becomes null."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, VmexportError):
        return {"what": value.what, "why": value.why, "fix": value.fix}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextlib.contextmanager
def progress(activity: str) -> Iterator[Say]:
    """Show on stderr what is being done: a spinner and the time on a terminal, one line a step elsewhere.

    Yields:
        a function that names the next step.
    """
    console = _ERR
    if not console.is_terminal:
        console.print(harmless(activity))
        yield lambda step: console.print(harmless(step))
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(harmless(activity), total=None)
        yield lambda step: bar.update(task, description=harmless(step))


@contextlib.contextmanager
def counted_progress(activity: str, show: bool = True) -> Iterator[steps.Progress]:
    """As `progress`, for work whose steps are counted: a bar on a terminal; elsewhere only its stages.

    Args:
        activity: what is being done first.
        show: False for a process that works along silently.

    Yields:
        a function that takes what is being done, and how many of how many steps are (0 of 0: a stage begins).
    """
    if not show:
        yield lambda _step, _done, _total: None
        return
    console = _ERR
    if not console.is_terminal:
        console.print(harmless(activity))
        yield lambda step, _done, total: None if total else console.print(harmless(step))
        return
    columns = (SpinnerColumn(), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, TextColumn("{task.description}", markup=False), console=console, transient=True
    ) as bar:
        task = bar.add_task(harmless(activity), total=None)
        yield lambda step, done, total: bar.update(
            task, description=harmless(step), completed=done, total=total or None
        )


def error(problem: VmexportError) -> None:
    """What happened in red, then why and the fix, on stderr."""
    what, *more = problem.lines()
    _ERR.print(Text.assemble(("error:", "bold red"), " ", (what, "red")))
    for line in more:
        _ERR.print(f"  {line}")


def bug(problem: BaseException) -> None:
    """An exception that nobody foresaw."""
    error(
        VmexportError(
            f"this is a bug in vmexport: {type(problem).__name__}: {problem}",
            "no command should end like this",
            "run the command again with -vv and report the traceback",
        )
    )


def traceback(problem: BaseException) -> None:
    """The traceback of an exception, on stderr."""
    import traceback as python_traceback

    _ERR.print(harmless_lines("".join(python_traceback.format_exception(problem))))


def count(value: float) -> str:
    """A count with thousands separators."""
    return f"{value:,.0f}"


def mebibytes(size_bytes: float) -> str:
    """A size in MiB."""
    return f"{size_bytes / 2**20:,.0f} MiB"
