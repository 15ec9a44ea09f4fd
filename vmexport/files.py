"""May I read here, may I write here; and writing so that an interrupted run never leaves half a file."""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vmexport.errors import BuildError, InputError

DEBRIS = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names of the private folders of `atomic_write`."""

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where no space is left, or none for this user."""


def first_bytes(path: Path, count: int, otherwise: str) -> bytes:
    """The first bytes of a file, all of them where it has fewer.

    Args:
        path: the file.
        count: how many.
        otherwise: what to do where there is no such file.

    Raises:
        InputError: a folder, no such file, no permission, or a name that no file can have.
    """
    what = f"cannot read {path}"
    try:
        if path.is_dir():
            raise InputError(what, "it is a folder", f"name the file inside it: ls {path}")
        with path.open("rb") as stream:
            return stream.read(count)
    except FileNotFoundError as error:
        raise InputError(what, "no such file", otherwise) from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or str(error)
        fix = f"chmod +r {path}" if isinstance(error, PermissionError) else f"see: ls -l {path}"
        raise InputError(what, why, fix) from error


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


@contextlib.contextmanager
def atomic_write(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success it replaces `target`, on any failure it goes.

    The temporary name lies in a fresh private folder, so that side files a writer puts next to it
    (external weight data, for instance) are removed with it.

    Raises:
        InputError: the folder does not exist or is not writable.
        BuildError: the disk is full, or another write error.
    """
    target = Path(target)
    folder = _private_folder(target)
    temporary = folder / target.name
    try:
        mode = _usual_mode(target, folder)
        yield temporary
        temporary.chmod(mode)  # some writers make their files private
        temporary.replace(target)
    except OSError as error:
        raise explain_write_error(error, target) from error
    finally:
        for leftover in folder.glob("*"):
            leftover.unlink(missing_ok=True)
        folder.rmdir()


def remove_debris(folder: Path) -> None:
    """Remove what writers that were killed left behind in a folder where nobody writes at the moment."""
    for path in folder.glob(".*"):
        if DEBRIS.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def require_writable(target: Path | str, option: str = "-o") -> None:
    """Refuse a place for a file before the work whose result is to go there.

    Args:
        target: the file.
        option: by which the user names it, for the fix.

    Raises:
        InputError: the folder does not exist or is not writable, or a folder lies in the file's place.
        BuildError: the disk is full, or another write error.
    """
    target = Path(target)
    try:
        if target.is_dir():
            raise IsADirectoryError
    except OSError as error:
        raise explain_write_error(error, target, option) from error
    _private_folder(target, option).rmdir()


@contextlib.contextmanager
def atomic_folder(target: Path | str, replace: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder beside `target`; on success it becomes `target`, on failure it goes.

    Args:
        target: the folder to make; what is above it is made too.
        replace: take the place of what is there. It goes only once the new folder is complete.

    Raises:
        InputError: the place above is not writable.
        BuildError: `target` exists and is not to be replaced, the disk is full, or another write error.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(error, target) from error
    outer = _private_folder(target)
    try:
        inner = outer / target.name
        inner.mkdir()
        yield inner
        if replace and target.exists():
            target.rename(outer / "before")
        inner.rename(target)
    except OSError as error:
        raise explain_write_error(error, target) from error
    finally:
        if (outer / "before").exists() and not target.exists():
            (outer / "before").rename(target)
        shutil.rmtree(outer, ignore_errors=True)


def _private_folder(target: Path, option: str = "-o") -> Path:
    """A fresh folder beside `target` that only this user can enter."""
    try:
        return Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise explain_write_error(error, target, option) from error
    except ValueError as error:
        raise explain_write_error(OSError(errno.EINVAL, str(error)), target, option) from error


def _usual_mode(target: Path, folder: Path) -> int:
    """Permissions of the file that is replaced, else those that this process gives to any new file."""
    if target.exists():
        return target.stat().st_mode & 0o777
    probe = folder / "mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    return mode


def explain_write_error(error: OSError, target: Path, option: str = "-o") -> InputError | BuildError:
    """Turn an operating system error on writing `target`, which `option` names, into one of ours."""
    another = f"choose another place with {option}"
    if error.errno in FULL_DISK:
        return BuildError(
            f"could not write {target}",
            "the disk is full; nothing was left behind",
            f"free some space (see: df -h {target.parent}) or {another}",
        )
    if error.errno == errno.EFBIG:
        return BuildError(
            f"could not write {target}",
            "the file is larger than this process or file system may write; nothing was left behind",
            f"lift the limit (see: ulimit -f) or {another}",
        )
    if isinstance(error, FileExistsError | NotADirectoryError):
        file = next((path for path in (target, *target.parents) if path.is_file()), target)
        return InputError(f"could not write {target}", f"{file} is a file, not a folder", another)
    if isinstance(error, FileNotFoundError):
        return InputError(
            f"could not write {target}",
            f"the folder {target.parent} does not exist",
            f"mkdir -p {target.parent}",
        )
    if isinstance(error, IsADirectoryError):
        return InputError(
            f"could not write {target}", "a folder lies in its place", f"name a file in it, or {another}"
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return InputError(f"could not write {target}", f"no permission: {error.strerror}", another)
    return BuildError(f"could not write {target}", f"{error.strerror or error}", another)
