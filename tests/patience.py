"""How long a test waits for another process before it takes it to hang. Nothing is expected within a time."""

from __future__ import annotations

import time
from collections.abc import Callable

HANG_S = 900
"""Seconds; generous, because other work on the machine may take most of its cores."""


def wait_until(true: Callable[[], object], what: str) -> None:
    """Return once a condition holds.

    Raises:
        AssertionError: it never did.
    """
    ended = time.monotonic() + HANG_S
    while not true():
        assert time.monotonic() < ended, what
        time.sleep(0.02)
