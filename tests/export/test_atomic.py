"""A failed or interrupted export leaves nothing behind, and an existing file as it was."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from small import small_model

from vmexport.errors import BuildError, ExitCode, ParityError
from vmexport.export import export_onnx
from vmexport.export.metadata import read_info
from vmexport.runtime import open_runner
from vmexport.runtime import tolerance as agreement

STEPS = ("tracing", "attaching", "verifying", "comparing")


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_leaves_nothing(step: str, tmp_path: Path) -> None:
    def interrupt(words: str) -> None:
        if words.startswith(step):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        export_onnx(small_model(), tmp_path / "model.onnx", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"old")

    def interrupt(words: str) -> None:
        if words.startswith("comparing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_onnx(small_model(), target, progress=interrupt)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(BuildError, match="disk is full"):
        export_onnx(small_model(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_stops_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A real write error in the middle of the file: the process may not write files beyond 64 kB."""
    script = f"""
import resource, sys
from small import small_model
from vmexport.errors import VmexportError
from vmexport.export import export_onnx
model = small_model()
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    export_onnx(model, {str(tmp_path / "model.onnx")!r}, check=False)
except VmexportError as error:
    print(error)
    sys.exit(int(error.exit_code))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == ExitCode.BUILD_FAILED, done.stderr
    assert "the file is larger than this process or file system may write" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_failed_parity_marks_the_file_and_runners_refuse_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = agreement.Tolerance(relative=0.0, cosine=1.1, stream=0.0)
    monkeypatch.setattr("vmexport.runtime.compare.TOLERANCES", {"fp32": strict})
    target = tmp_path / "model.onnx"
    with pytest.raises(ParityError) as caught:
        export_onnx(small_model(), target)
    assert caught.value.exit_code == ExitCode.PARITY_FAILED
    assert str(target) in str(caught.value)
    assert '"status": "failed"' in read_info(target).extra["parity"]
    with pytest.raises(ParityError, match="marked"), open_runner(target):
        pass
    with open_runner(target, allow_failed=True) as run:
        assert run.info.architecture.depth == 2
