"""An interrupted write leaves nothing, and a failed one says what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vmexport.errors import BuildError, InputError
from vmexport.files import atomic_write


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [path.name for path in folder.iterdir()]


def write_and_fail(target: Path, stop: BaseException) -> None:
    """Half a file, then the worst."""
    with atomic_write(target) as temporary:
        temporary.write_text("half")
        raise stop


def test_success_replaces_the_target_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.onnx"
    target.write_text("old")
    with atomic_write(target) as temporary:
        temporary.write_text("new")
        (temporary.parent / "a.onnx.data").write_text("a side file")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.onnx"]


def test_the_file_gets_the_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    for before in (None, 0o640):
        target = tmp_path / "a.onnx"
        if before is not None:
            target.chmod(before)
        with atomic_write(target) as temporary:
            temporary.touch(mode=0o600)
        assert target.stat().st_mode & 0o777 == (before or usual.stat().st_mode & 0o777)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_interrupted_write_keeps_the_old_file(tmp_path: Path, stop: type[BaseException]) -> None:
    target = tmp_path / "a.onnx"
    target.write_text("old")
    with pytest.raises(stop):
        write_and_fail(target, stop())
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.onnx"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, atomic_write(tmp_path / "no" / "a.onnx"):
        pass
    assert "does not exist" in caught.value.why
    assert caught.value.fix.startswith("mkdir -p")


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.ENOSPC, BuildError, "disk is full"),
        (errno.EDQUOT, BuildError, "disk is full"),
        (errno.EACCES, InputError, "no permission"),
        (errno.EROFS, InputError, "no permission"),
        (errno.EISDIR, InputError, "it is a folder"),
        (errno.EFBIG, BuildError, "ulimit -f"),
        (errno.EIO, BuildError, "Input/output error"),
    ],
)
def test_a_failing_disk_is_explained(tmp_path: Path, code: int, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        write_and_fail(tmp_path / "a.onnx", OSError(code, os.strerror(code)))
    assert names(tmp_path) == []
