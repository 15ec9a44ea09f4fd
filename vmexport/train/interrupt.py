"""Ctrl-C and termination: the step that is under way is finished and saved, then the run stops."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was stopped by a signal and can be resumed.

    Attributes:
        out: the run's folder.
        step: step of its last checkpoint; None: it has none yet.
        resume: the command that goes on, or starts again where there is no checkpoint.
    """

    def __init__(self, out: Path, step: int | None) -> None:
        self.out, self.step = out, step
        self.resume = f"vmexport train --resume {out}"
        super().__init__(f"interrupted; {self.resume}")


class StopRequest:
    """Whether somebody asked the run to stop.

    Attributes:
        asked: a signal came.
        over: the run has stopped; whoever is impatient must not cut off the word on how to go on.
    """

    def __init__(self) -> None:
        self.asked = self.over = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: the first signal asks, a second one does not wait for the step's end."""
        if self.over:
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextlib.contextmanager
def listening() -> Iterator[StopRequest]:
    """Take over SIGINT and SIGTERM; outside the main thread, where Python allows no handler, do nothing."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    # A process started to ignore a signal, as background jobs and nohup do, goes on ignoring it.
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, request) for number in heard}
    told, sys.unraisablehook = sys.unraisablehook, _without_interrupts
    try:
        yield request
    finally:
        sys.unraisablehook = told
        for number, handler in before.items():
            signal.signal(number, handler)


def _without_interrupts(unraisable: sys.UnraisableHookArgs) -> None:
    """A second Ctrl-C may fall into a finaliser, which drops the exception: nothing that a user must read."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
