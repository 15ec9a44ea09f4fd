"""An interrupted write leaves nothing, and a failed one says what to do."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vmexport.debris import remove_debris
from vmexport.errors import BuildError, InputError
from vmexport.files import atomic_folder, atomic_write, require_writable
from vmexport.opening import check_readable, check_regular, open_regular, read_bytes


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


KILLED = {
    "in a file": "with atomic_write(target) as path: path.write_text('half'); os._exit(9)",
    "in a folder": "with atomic_folder(target) as path: (path / 'a').mkdir(); os._exit(9)",
    "before the lock": "debris.fcntl.flock = debris.os.open = lambda *any: os._exit(9)\n"
    "with atomic_write(target): pass",
    "in the removal": "debris.shutil.rmtree = lambda *any, **more: os._exit(9)\n"
    "with atomic_write(target) as path: path.touch()",
    "between lock and removal": "debris.Path.rmdir = lambda path: os._exit(9)\n"
    "with atomic_write(target) as path: path.touch()",
}


def start(code: str, target: Path) -> subprocess.Popen[str]:
    """A process that runs code about a target."""
    program = (
        "import os, pathlib, sys\nfrom vmexport import debris, files\n"
        f"from vmexport.files import atomic_folder, atomic_write\ntarget = pathlib.Path(sys.argv[1])\n{code}"
    )
    arguments = [sys.executable, "-c", program, str(target)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def write(target: Path, text: str = "new") -> None:
    """A writer that comes to its end."""
    with atomic_write(target) as temporary:
        temporary.write_text(text)


@pytest.mark.parametrize("moment", KILLED)
def test_the_next_writer_clears_what_a_killed_one_left(tmp_path: Path, moment: str) -> None:
    killed = start(KILLED[moment], tmp_path / "model")
    killed.communicate()
    assert killed.returncode == 9
    assert any(name.startswith(".model.vmexport-") for name in names(tmp_path))
    write(tmp_path / "model")
    assert names(tmp_path) == ["model"]


def test_nothing_but_debris_is_cleared(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in (".git", ".a.12345678", "a.vmexport-12345678", ".a.vmexport-1234567")]
    kept.append(tmp_path / ".b.vmexport-12345678")  # no lock in it, but something
    for folder in kept:
        folder.mkdir()
        (folder / "notes").write_text("years of work")
    (tmp_path / ".file.vmexport-12345678").write_text("a file")
    (tmp_path / ".link.vmexport-12345678").symlink_to(tmp_path / ".git")
    before = sorted(tmp_path.rglob("*"))
    remove_debris(tmp_path)
    remove_debris(tmp_path / "no such folder")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    code = "with atomic_write(target) as path: path.write_text('his'); print(path, flush=True); input()"
    writer = start(code, tmp_path / "model")
    assert writer.stdout is not None
    path = Path(writer.stdout.readline().strip())
    write(tmp_path / "model", "mine")
    remove_debris(tmp_path)
    assert path.read_text() == "his"
    writer.communicate("\n")
    assert (tmp_path / "model").read_text() == "his"
    assert names(tmp_path) == ["model"]


def test_a_child_that_lives_on_does_not_keep_the_debris_of_its_parent(tmp_path: Path) -> None:
    code = (
        "with atomic_write(target) as path:\n"
        "    child = os.fork()\n"
        "    if child == 0: print('here', flush=True); sys.stdin.read(); sys.exit()\n"
        "    os._exit(9)"
    )
    writer = start(code, tmp_path / "model")
    assert writer.stdout is not None
    assert writer.stdin is not None
    writer.stdout.readline()
    writer.wait()
    assert len(names(tmp_path)) == 1
    remove_debris(tmp_path)
    assert names(tmp_path) == []
    writer.stdin.close()
    assert writer.stdout.read() == ""  # the child has ended, too


def test_a_forked_child_leaves_the_folder_to_its_parent(tmp_path: Path) -> None:
    code = (
        "with atomic_write(target) as path:\n"
        "    child = os.fork()\n"
        "    if child == 0: sys.exit()\n"
        "    os.waitpid(child, 0); path.write_text('whole')"
    )
    assert start(code, tmp_path / "model").wait() == 0
    assert (tmp_path / "model").read_text() == "whole"


def test_another_users_debris_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(KILLED["in a file"], tmp_path / "model").communicate()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        remove_debris(tmp_path)
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("exchanging", [True, False])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, exchanging: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanging:
        monkeypatch.setattr("vmexport.files.exchange", lambda *two: False)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").touch()

    def make(discard: Callable[[Path], None] | None) -> None:
        with atomic_folder(tmp_path / "set", discard) as folder:
            (folder / "new").touch()

    def refuse(folder: Path) -> None:
        raise InputError(f"{names(folder)} may not go")

    for discard in (None, refuse, lambda folder: None):
        with pytest.raises((BuildError, InputError)):
            make(discard)
        assert [path.name for path in tmp_path.rglob("*")] == ["set", "old"]
    make(lambda folder: (folder / "old").unlink())
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "new"]


def test_a_kill_between_two_renames_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").touch()
    code = (
        "files.exchange = lambda *two: False\nrename = pathlib.Path.rename\n"
        "pathlib.Path.rename = lambda a, b: os._exit(9) if b == target else rename(a, b)\n"
        "with atomic_folder(target, print) as path: (path / 'new').touch()"
    )
    start(code, tmp_path / "set").communicate()
    assert not (tmp_path / "set").exists()
    remove_debris(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "old"]


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


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(tmp_path / "socket"))
        for name, why in (
            ("pipe", "a named pipe"),
            ("link", "a named pipe"),
            ("device", "a device"),
            ("socket", "a socket"),
            ("loop", "symbolic link"),
            ("", "it is a folder"),
        ):
            for read in (check_regular, lambda path: read_bytes(path, 10)):
                with pytest.raises(InputError, match="cannot read") as caught:
                    read(tmp_path / name)
                assert why in caught.value.why
                assert caught.value.fix


def test_a_pipe_that_takes_the_place_of_a_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("content")
    os.mkfifo(tmp_path / "pipe")
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: opened(tmp_path / "pipe", flags))
    with pytest.raises(InputError, match="a named pipe"):
        open_regular(tmp_path / "file")


def test_a_file_beyond_its_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10))
    assert read_bytes(tmp_path / "file", 10) == bytes(10)
    with pytest.raises(InputError, match="too large") as caught:
        read_bytes(tmp_path / "file", 9)
    assert "10 bytes" in caught.value.why
    assert "at most 9" in caught.value.why


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
