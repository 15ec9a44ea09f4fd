"""Running CMake: every line into a log, progress to the caller, failures told apart by what it says."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vmexport.config.progress import Progress
from vmexport.errors import BuildError, EnvironmentProblem, OutOfMemory, VmexportError

_STEP = re.compile(r"\[\s*(\d+)(?:/(\d+)|%)\]\s+(.*)")  # "[3/14] Building ..." of ninja, "[ 21%] ..." of make
_FAILED = re.compile(r"\bFAILED\b|\berror\b|CMake Error|\*\*\*", re.IGNORECASE)
_SHOWN_LINES, _SHOWN_COLUMNS = 15, 200
_GRACE_SECONDS = 5


def run_step(command: Sequence[str], log: Path, progress: Progress, environment: Mapping[str, str]) -> None:
    """Run one command to its end; if anything stops that, the command's whole process group ends first.

    Args:
        command: program and arguments.
        log: its output is added here.
        progress: told of each step that the output counts.
        environment: of the command.

    Raises:
        BuildError, EnvironmentProblem, OutOfMemory: it failed; with its last lines and the log's path.
    """
    with log.open("a", encoding="utf-8") as file:
        print("$", *command, file=file, flush=True)
        process: subprocess.Popen[str] | None = None
        lines: list[str] = []
        try:
            with _interruptions_held():
                process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env=dict(environment),
                    start_new_session=True,  # Ctrl-C comes here only, and the whole group is ended from here
                )
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                lines.append(line.rstrip())
                step = _STEP.match(line)
                if step:
                    done, total = int(step[1]), int(step[2] or 100)
                    progress(step[3].strip(), done, total)
            status = process.wait()
        except BaseException:
            if process is not None:
                _end(process)
            raise
    if status != 0:
        raise explain(lines, status, log)


def explain(lines: Sequence[str], status: int, log: Path) -> VmexportError:
    """The error for a command that failed, from its output."""
    text = "\n".join(lines)
    why = "\n".join(_telling(lines)) or f"exit status {status}, no output"
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return disk_full(log.parent)
    if re.search(r"Killed signal terminated|fatal error: Killed|virtual memory exhausted|bad_alloc", text):
        return OutOfMemory(
            "memory ran out while the native libraries were compiled", why, "vmexport plugin build --jobs 1"
        )
    if re.search(r"No CMAKE_CXX_COMPILER|compiler identification is unknown", text):
        return EnvironmentProblem("cmake found no working C++ compiler", why, "sudo apt-get install g++")
    fix = f"read the whole log: {log}"
    if re.search(r"unsupported (GNU|clang) version", text, re.IGNORECASE):
        fix = f"CUDAHOSTCXX=<an older g++> vmexport plugin build   (the whole log: {log})"
    elif re.search(r"nvcc|CUDA", text):
        fix += "   (or go without CUDA: vmexport plugin build --cuda off)"
    return BuildError("the native libraries could not be built", why, fix)


def disk_full(folder: Path) -> BuildError:
    """The error for a disk without room."""
    return BuildError(
        "the native libraries could not be built",
        "the disk is full; nothing half-written was left behind",
        f"free some space (see: df -h {folder}), or: "
        "TMPDIR=<a folder> XDG_CACHE_HOME=<a folder> vmexport plugin build",
    )


def _telling(lines: Sequence[str]) -> list[str]:
    """The lines to show: from the first that speaks of a failure on, else the last; long ones are cut."""
    filled = [line for line in lines if line.strip()]
    first = next((i for i, line in enumerate(filled) if _FAILED.search(line)), len(filled))
    shown = filled[first : first + _SHOWN_LINES] or filled[-_SHOWN_LINES:]
    return [line if len(line) <= _SHOWN_COLUMNS else f"{line[:_SHOWN_COLUMNS]}..." for line in shown]


@contextlib.contextmanager
def _interruptions_held() -> Iterator[None]:
    """Ctrl-C comes when the block is left: a process that has begun is known by then, and can be ended."""
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield
        return
    held: list[int] = []
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    for number in handlers:
        signal.signal(number, lambda caught, _: held.append(caught))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for caught in held:
        signal.raise_signal(caught)


def _end(process: subprocess.Popen[str]) -> None:
    """End the whole group: kindly, then not."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    if process.stdout is not None:
        process.stdout.close()
