"""Private folders beside a file that is being written: whose they are, and which a dead process left behind.

`.NAME.vmexport-xxxxxxxx` is made beside NAME. Its maker holds a lock on a file in it for as long as it works,
and the system lets go of the lock when the process ends, however it ends. So a folder whose lock is free is
debris, whatever number its maker had.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

INFIX = ".vmexport-"
NAME = re.compile(rf"\.(?P<target>.+){re.escape(INFIX)}[a-z0-9_]{{8}}", re.DOTALL)
LOCK = "lock"
INNER = "new"
"""Folder inside, so that a file of any name may lie in it."""
BEFORE = "before"
"""What a new folder takes the place of, for the moment in which neither lies there."""

_held: set[int] = set()
"""Descriptors of the locks that this process holds."""


@contextlib.contextmanager
def private_folder(target: Path) -> Iterator[Path]:
    """Yield a fresh folder beside `target` that only this user can enter; at the end it goes, with all in it.

    What dead processes of this user left beside `target` goes first.

    Raises:
        OSError: the folder above cannot be written.
        ValueError: a name that no file can have.
    """
    # Nobody else writes inside a private folder, and there may be many files in one.
    if not any(NAME.fullmatch(above.name) for above in target.absolute().parents):
        remove_debris(target.parent)
    folder, descriptor = _claim(target)
    try:
        inner = folder / INNER
        inner.mkdir()
        yield inner
    finally:
        if descriptor in _held:  # not so in a child that was forked off meanwhile: it is its parent's folder
            with contextlib.suppress(OSError):
                _restore(folder)
                _remove(folder)
            _held.discard(descriptor)
            os.close(descriptor)


def remove_debris(folder: Path) -> None:
    """Remove the private folders that dead processes of this user left in a folder, and nothing else."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if NAME.fullmatch(entry.name)]
    except (OSError, ValueError):
        return  # whoever writes here says why not
    for name in names:
        with contextlib.suppress(OSError):
            _remove_if_dead(folder / name)


def _claim(target: Path) -> tuple[Path, int]:
    """A new folder and the descriptor of the lock on it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}{INFIX}", dir=target.parent))
        with contextlib.suppress(FileNotFoundError):  # taken for debris before it was locked: another one
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with contextlib.suppress(OSError):  # a file system without locks: nothing here is ever debris
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:
                    _held.add(descriptor)
                    return folder, descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _remove_if_dead(folder: Path) -> None:
    """Remove one private folder unless its maker lives or is another user.

    Raises:
        OSError: it lives, is another's, or is no such folder.
    """
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        folder.rmdir()  # killed before it made the lock; one that holds anything is not ours
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _restore(folder)
        _remove(folder)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a private folder, the lock last: whatever a kill leaves of it can be told from other folders."""
    for path in folder.iterdir():
        if path.name != LOCK:
            shutil.rmtree(path, ignore_errors=True)
    (folder / LOCK).unlink()
    folder.rmdir()


def _restore(folder: Path) -> None:
    """Put back what was taken out of the way for something that never came."""
    match = NAME.fullmatch(folder.name)
    before = folder / BEFORE
    if match is not None and os.path.lexists(before):
        target = folder.parent / match["target"]
        if not os.path.lexists(target):
            before.rename(target)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders or files of one file system change places in one step; False where it cannot be done.

    Raises:
        OSError: one of them is missing, or may not be moved.
    """
    import ctypes

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # not Linux, or a C library of before 2018
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if renameat2(here, os.fsencode(one), here, os.fsencode(other), ctypes.c_uint(swap)) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _let_go() -> None:
    """In a forked child: its copies of the descriptors would hold the locks of a parent that died."""
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
