"""An interrupted write leaves nothing, and a failed one says what to do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmexport.errors import BuildError, InputError
from vmexport.files import atomic_write, check_readable, remove_debris, require_writable


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


def test_the_debris_of_a_killed_writer_goes_and_nothing_else(tmp_path: Path) -> None:
    killed = "with atomic_write(sys.argv[1]) as path: path.write_text('half'); os._exit(9)"
    program = f"import os, sys\nfrom vmexport.files import atomic_write\n{killed}"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "model.safetensors")], check=False)
    kept = [tmp_path / ".git", tmp_path / ".cache.d", tmp_path / "a.b.12345678"]
    for folder in kept:
        folder.mkdir()
    (tmp_path / ".notes.12345678").write_text("a file of the user's")
    assert len(list(tmp_path.iterdir())) == 5
    remove_debris(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / ".notes.12345678"])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, atomic_write(tmp_path / "no" / "a.onnx"):
        pass
    assert "does not exist" in caught.value.why
    assert caught.value.fix.startswith("mkdir -p")


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="file is a file, not a folder"),
        atomic_write(tmp_path / "file" / "a"),
    ):
        pass
    with pytest.raises(InputError, match="file is a file, not a folder"):
        require_writable(tmp_path / "file" / "b" / "a")


def test_a_place_is_refused_before_the_work(tmp_path: Path) -> None:
    for target, words in (
        (tmp_path, "a folder lies in its place"),
        (tmp_path / "no" / "a", "does not exist"),
    ):
        with pytest.raises(InputError) as caught:
            require_writable(target)
        assert str(target) in caught.value.what
        assert words in caught.value.why
        assert caught.value.fix
    require_writable(tmp_path / "a")
    assert names(tmp_path) == []
    with pytest.raises(InputError, match="choose another place with --timing-cache"):
        require_writable(tmp_path, "--timing-cache")


@pytest.mark.parametrize("name", ["a" * 300 + ".onnx", "a\0b.onnx"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match="could not write"):
        require_writable(tmp_path / name)
    with pytest.raises(BuildError, match="could not write"), atomic_write(tmp_path / name):
        pass
    with pytest.raises(InputError, match="cannot read"):
        check_readable(tmp_path / name, "vmexport onnx MODEL")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, why, fix in (
        ("", "it is a folder", "name the file inside it"),
        ("none", "no such file", "vmexport onnx MODEL   writes one"),
        ("empty", "the file is empty", "write it again: vmexport onnx MODEL"),
    ):
        with pytest.raises(InputError, match="cannot read") as caught:
            check_readable(tmp_path / name, "vmexport onnx MODEL")
        assert why in caught.value.why
        assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.ENOSPC, BuildError, "disk is full"),
        (errno.EDQUOT, BuildError, "disk is full"),
        (errno.EACCES, InputError, "no permission"),
        (errno.EROFS, InputError, "no permission"),
        (errno.EISDIR, InputError, "a folder lies in its place"),
        (errno.EFBIG, BuildError, "ulimit -f"),
        (errno.EIO, BuildError, "Input/output error"),
    ],
)
def test_a_failing_disk_is_explained(tmp_path: Path, code: int, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        write_and_fail(tmp_path / "a.onnx", OSError(code, os.strerror(code)))
    assert names(tmp_path) == []
