"""Running the builder: minutes of work that report progress, can be stopped, and explain their failure."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from vmexport.errors import BuildError
from vmexport.export.trt.memory import ADVICE
from vmexport.export.trt.progress import BuildProgress, Progress, new_monitor
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.logger import complaints, raise_for_memory, reason

POLL_SECONDS = 0.1


@dataclass
class _Outcome:
    """What the builder's thread leaves behind."""

    engine: Any = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


def build_serialized(trt: TensorRT, builder: Any, network: Any, config: Any, say: Progress) -> memoryview:
    """Build an engine.

    The builder works in a thread of its own: the main thread stays free to hear Ctrl-C, which ends the build
    at its next step. A second Ctrl-C, or the first where this TensorRT cannot stop, leaves without waiting.

    Args:
        trt: the library.
        builder: its builder.
        network: what to build.
        config: the settings.
        say: told the progress.

    Returns:
        the engine's bytes.

    Raises:
        OutOfMemory: memory ran out.
        BuildError: TensorRT gave up; with its own messages.
        KeyboardInterrupt: Ctrl-C.
    """
    progress = BuildProgress(say)
    monitor = None
    if trt.features.progress_monitor:
        monitor = new_monitor(trt, progress)
        config.progress_monitor = monitor
    outcome = _Outcome()

    def work() -> None:
        try:
            outcome.engine = builder.build_serialized_network(network, config)
        except BaseException as error:
            outcome.error = error
        finally:
            outcome.done.set()

    with complaints(trt) as heard:
        threading.Thread(target=work, name="tensorrt-build", daemon=True).start()
        _wait(outcome, progress, can_stop=monitor is not None)
    if progress.cancelled.is_set():
        raise KeyboardInterrupt
    if outcome.engine is None:
        _explain(trt, heard, outcome.error)
    return memoryview(outcome.engine)


def _wait(outcome: _Outcome, progress: BuildProgress, can_stop: bool) -> None:
    """Wait for the builder; ask it to stop on Ctrl-C."""
    try:
        while not outcome.done.wait(POLL_SECONDS):
            pass
    except KeyboardInterrupt:
        progress.cancelled.set()
        if not can_stop:
            raise
        while not outcome.done.wait(POLL_SECONDS):
            pass


def _explain(trt: TensorRT, heard: list[str], error: BaseException | None) -> None:
    """Raise the error for a build without a result."""
    messages = [*heard, *([f"{type(error).__name__}: {error}"] if error else [])]
    if isinstance(error, MemoryError):
        messages.append("out of memory")
    raise_for_memory(messages, "memory ran out while the engine was built; nothing was written", ADVICE)
    raise BuildError(
        f"{trt.name} could not build the engine; nothing was written",
        reason(messages),
        "run again with -v for all that TensorRT says",
    ) from error
