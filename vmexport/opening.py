"""Opening files that others named or made: regular files only, and never a wait at the door."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from vmexport.errors import InputError

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What a path may lead to besides a file and a folder."""


def open_regular(path: Path | str, otherwise: str = "") -> BinaryIO:
    """Open a regular file to read.

    Opening a pipe would wait for a writer, and opening a device may do anything: the path is looked at
    before, and what was opened once more, so that nothing can be put in its place in between.

    Args:
        path: the file; a link to one is followed.
        otherwise: what to do where there is no such file.

    Raises:
        InputError: a folder, a pipe, a socket, a device, no such file, no permission, or a name that no file
            can have.
    """
    path = Path(path)
    what = f"cannot read {path}"
    try:
        _require_regular(path.stat().st_mode, path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _require_regular(os.fstat(descriptor).st_mode, path)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except FileNotFoundError as error:
        raise InputError(what, "no such file", otherwise or f"look for it: ls {path.parent}") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or str(error)
        fix = f"chmod +r {path}" if isinstance(error, PermissionError) else f"see: ls -l {path}"
        raise InputError(what, why, fix) from error


def check_regular(path: Path | str, otherwise: str = "") -> None:
    """Refuse a path for a library that opens it by itself.

    Raises:
        InputError: as `open_regular`.
    """
    open_regular(path, otherwise).close()


def first_bytes(path: Path, count: int, otherwise: str) -> bytes:
    """The first bytes of a file, all of them where it has fewer.

    Args:
        path: the file.
        count: how many.
        otherwise: what to do where there is no such file.

    Raises:
        InputError: as `open_regular`, or the disk cannot be read.
    """
    with open_regular(path, otherwise) as stream:
        return _read(stream, path, count)


def read_bytes(path: Path | str, most: int) -> bytes:
    """The whole content of a file.

    Args:
        path: the file.
        most: bytes that such a file may have; a larger one is refused before it is read.

    Raises:
        InputError: as `open_regular`, it is larger, or the disk cannot be read.
    """
    path = Path(path)
    with open_regular(path) as stream:
        content = b""
        size = os.fstat(stream.fileno()).st_size
        if size <= most:
            content = _read(stream, path, most + 1)
            size = len(content)
    if size > most:
        raise InputError(
            f"{path} is too large", f"{size} bytes are too many, at most {most} are read", f"ls -l {path}"
        )
    return content


def check_readable(path: Path, command: str) -> None:
    """Refuse a path that is no readable, non-empty file.

    Args:
        path: the file.
        command: writes such a file, for the fix.

    Raises:
        InputError: with the reason.
    """
    if not first_bytes(path, 1, f"{command}   writes one"):
        raise InputError(f"cannot read {path}", "the file is empty", f"write it again: {command}")


def _read(stream: BinaryIO, path: Path, count: int) -> bytes:
    """Up to `count` bytes from where the file stands."""
    try:
        return stream.read(count)
    except OSError as error:
        raise InputError(f"cannot read {path}", error.strerror or str(error), f"ls -l {path}") from error


def _require_regular(mode: int, path: Path) -> None:
    """Refuse all but a regular file."""
    if stat.S_ISDIR(mode):
        raise InputError(f"cannot read {path}", "it is a folder", f"name the file inside it: ls {path}")
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise InputError(
            f"cannot read {path}",
            f"it is not a regular file but {kind}",
            f"copy what comes out of it to a file: cat {path} > FILE",
        )
