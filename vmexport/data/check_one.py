"""Decoding one video to see whether it can be used, here or in a process that it may take down.

`python -m vmexport.data.check_one` is that process: orders and answers as JSON lines.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from vmexport.config.threads import python_environment
from vmexport.errors import InputError
from vmexport.video import FrameReader


@dataclass(frozen=True)
class Examined:
    """What one video is, or what is wrong with it.

    Attributes:
        what: what is wrong; empty for a good video, whose other values then hold.
        why: the reason.
        frames: number of frames.
        fps: frames a second.
        duration_s: seconds.
        width: pixels, as displayed.
        height: pixels, as displayed.
        codec: FFmpeg's name.
        note: what its header claims and its data does not hold.
    """

    what: str = ""
    why: str = ""
    frames: int = 0
    fps: float = 0.0
    duration_s: float = 0.0
    width: int = 0
    height: int = 0
    codec: str = ""
    note: str = ""


def examine(path: Path, quick: bool) -> Examined:
    """Decode every frame of a video, or the first and the last."""
    try:
        with FrameReader(path) as reader:
            if quick:
                reader.read([0, reader.info.frames - 1])
            else:
                reader.verify()
            info = reader.info
    except InputError as error:
        return Examined(error.what, error.why)
    return Examined(
        frames=info.frames,
        fps=info.fps,
        duration_s=info.duration_s,
        width=info.width,
        height=info.height,
        codec=info.codec,
        note=info.note,
    )


class Examiner:
    """A process that examines one video after another; a context manager.

    A video that takes the process down is bad, and the next one gets a new process.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def __enter__(self) -> Examiner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def examine(self, path: Path, quick: bool) -> Examined:
        """As the function of that name."""
        if self._closed:
            return Examined("examination was interrupted")
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps([str(path), quick]), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except (OSError, ValueError):  # it died, or was ended by an interruption
            line = ""
        if line:
            return Examined(**json.loads(line))
        status = self._process.wait()
        return Examined(f"{path} takes the decoder down", f"its process ended with status {status}")

    def _start(self) -> subprocess.Popen[str]:
        """A new process."""
        return subprocess.Popen(
            [sys.executable, "-m", "vmexport.data.check_one"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=python_environment(),
            start_new_session=True,  # Ctrl-C reaches the controller only, which then ends the process
        )


def serve(orders: TextIO, answers: TextIO) -> None:
    """Answer `[path, quick]` lines until there are no more."""
    for order in orders:
        path, quick = json.loads(order)
        found = examine(Path(path), bool(quick))
        print(json.dumps(asdict(found)), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
