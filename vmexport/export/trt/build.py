"""Running the builder: minutes of work that report progress, can be stopped, and explain their failure.

Progress and cancellation go through TensorRT's `IProgressMonitor` where it has one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vmexport.config.progress import Progress
from vmexport.errors import BuildError
from vmexport.export.trt.target import ADVICE
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.logger import complaints, raise_for_memory, reason

LOG = logging.getLogger("vmexport.tensorrt")


STEPS = 1000
"""Parts that a build is reported in."""

POLL_SECONDS = 0.1


@dataclass
class _Phase:
    """A phase of the build: TensorRT nests them."""

    parent: str | None
    steps: int
    done: int = 0


class BuildProgress:
    """How far a build is, and whether it shall stop; called from any of TensorRT's threads.

    Args:
        say: told the innermost phase and the progress of the whole.
    """

    def __init__(self, say: Progress) -> None:
        self._say = say
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self._furthest = 0
        self.cancelled = threading.Event()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(1, steps))
            self._tell(name)

    def finish(self, name: str) -> None:
        """A phase ends; phases may end early."""
        with self._lock:
            self._phases.pop(name, None)

    def step(self, name: str, step: int) -> bool:
        """A step of a phase is done; whether the build shall go on."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = min(step + 1, phase.steps)
                self._tell(name)
        return not self.cancelled.is_set()

    def _tell(self, name: str) -> None:
        """Report the whole build's progress, which never goes back."""
        roots = [root for root, phase in self._phases.items() if phase.parent not in self._phases]
        done = int(STEPS * self._share(roots[0])) if roots else 0
        self._furthest = max(self._furthest, min(done, STEPS))
        self._say(name, self._furthest, STEPS)

    def _share(self, name: str) -> float:
        """The part of a phase that is done, its running inner phases included."""
        phase = self._phases[name]
        inner = [child for child, other in self._phases.items() if other.parent == name and child != name]
        running = max(map(self._share, inner), default=0.0) if phase.done < phase.steps else 0.0
        return min(1.0, (phase.done + running) / phase.steps)


def new_monitor(trt: TensorRT, progress: BuildProgress) -> Any:
    """An `IProgressMonitor` that reports to `progress`; the caller keeps it alive while it is in use."""

    class Monitor(trt.module.IProgressMonitor):  # type: ignore[name-defined,misc]
        """Nothing may be raised into TensorRT: a fault of the display must not end the build."""

        def __init__(self) -> None:
            trt.module.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._quietly(lambda: progress.start(phase_name, parent_phase, num_steps))

        def phase_finish(self, phase_name: str) -> None:
            self._quietly(lambda: progress.finish(phase_name))

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._quietly(lambda: progress.step(phase_name, step))
            return not progress.cancelled.is_set()

        def _quietly(self, report: Callable[[], object]) -> None:
            try:
                report()
            except Exception as error:
                LOG.debug("the progress could not be shown: %s", error)

    return Monitor()


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
