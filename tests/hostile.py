"""What generated tests of hostile files share: how many, and what must hold of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings

from vmexport.errors import ExitCode, VmexportError

HANG_S = 10
T = TypeVar("T")

few = settings(
    max_examples=60,
    deadline=None,  # other work shares the processors; `refused_or` has the limit that matters
    derandomize=True,  # the same files everywhere: what fails for one fails for all
    database=None,
    suppress_health_check=list(HealthCheck),
)
"""A fixed small budget: the long search is that of tests/fuzz."""


def refused_or(read: Callable[[], T], folder: Path) -> T | None:
    """Read a file: what came of it, or None where it was refused as bad input; nothing else may happen.

    Args:
        read: reads the file.
        folder: where it lies; nothing may be added to it.
    """
    before, began = set(folder.rglob("*")), time.process_time()
    refusal, found = None, None
    try:
        found = read()
    except VmexportError as error:
        refusal = error
    assert time.process_time() - began < HANG_S
    assert set(folder.rglob("*")) == before
    if refusal is not None:
        assert refusal.exit_code is ExitCode.BAD_INPUT, refusal
        assert refusal.what
        assert refusal.why or refusal.fix, refusal
    return found
