"""TensorRT's own messages: they go to `logging`, and its complaints into our errors."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from vmexport.errors import OutOfMemory, tells_of_memory
from vmexport.runtime.tensorrt.features import TensorRT

LOG = logging.getLogger("vmexport.tensorrt")
LEVELS = {
    "INTERNAL_ERROR": logging.ERROR,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "VERBOSE": logging.DEBUG,
}


@functools.cache
def trt_logger(module: ModuleType) -> Any:
    """The one logger of this process: TensorRT keeps the first that it is given for its global messages."""

    class Logger(module.ILogger):  # type: ignore[name-defined,misc]
        """Passes messages on; TensorRT may call it from any thread."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.complaints: list[list[str]] = []

        def log(self, severity: Any, message: str) -> None:
            level = LEVELS.get(getattr(severity, "name", ""), logging.INFO)
            LOG.log(min(level, logging.INFO), "%s", message)  # errors are told once, by whoever raises
            if level >= logging.ERROR:
                for listener in self.complaints:
                    listener.append(" ".join(message.split()))

    return Logger()


@contextlib.contextmanager
def complaints(trt: TensorRT) -> Iterator[list[str]]:
    """Collect what TensorRT complains about inside `with`.

    Yields:
        a list of error messages, which fills as they come.
    """
    heard: list[str] = []
    listeners = trt_logger(trt.module).complaints
    listeners.append(heard)
    try:
        yield heard
    finally:
        del listeners[next(index for index, listener in enumerate(listeners) if listener is heard)]


def reason(heard: list[str], otherwise: str = "TensorRT gave no reason") -> str:
    """The complaints as one sentence, each once."""
    return "; ".join(dict.fromkeys(heard)) or otherwise


def raise_for_memory(heard: list[str], what: str, fix: str) -> None:
    """Raise where a complaint says that memory ran out.

    Raises:
        OutOfMemory: with the complaints.
    """
    if tells_of_memory(" ".join(heard)):
        raise OutOfMemory(what, reason(heard), fix)
