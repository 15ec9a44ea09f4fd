"""Writing so that an interrupted run never leaves half a file, and never loses what was there before."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from vmexport.debris import BEFORE, exchange, private_folder
from vmexport.errors import BuildError, InputError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where no space is left, or none for this user."""


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
    with _private_folder(target) as folder:
        try:
            temporary = folder / target.name
            mode = _usual_mode(target, folder)
            yield temporary
            temporary.chmod(mode)  # some writers make their files private
            temporary.replace(target)
        except OSError as error:
            raise explain_write_error(error, target) from error


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
    with _private_folder(target, option):
        pass


@contextlib.contextmanager
def atomic_folder(target: Path | str, discard: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield an empty temporary folder beside `target`; on success it becomes `target`, on failure it goes.

    Args:
        target: the folder to make; what is above it is made too.
        discard: removes what lay in `target` before, which has changed places with the new folder by then and
            is given to it under another name; None where nothing may be replaced. If it raises, or leaves
            anything, the old folder comes back.

    Raises:
        InputError: the place above is not writable.
        BuildError: `target` exists and is not to be replaced, the disk is full, or another write error.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(error, target) from error
    with _private_folder(target) as folder:
        try:
            inner = folder / target.name
            inner.mkdir()
            yield inner
            if discard is not None and target.exists():
                _replace(target, inner, folder.parent / BEFORE, discard)
            else:
                inner.rename(target)
        except OSError as error:
            raise explain_write_error(error, target) from error


def _replace(target: Path, new: Path, before: Path, discard: Callable[[Path], None]) -> None:
    """Put a new folder in the place of an old one, which `discard` removes; see `atomic_folder`.

    Raises:
        OSError: the folders cannot be moved, or the old one is not empty in the end.
    """
    swapped = exchange(target, new)
    if not swapped:
        target.rename(before)
        new.rename(target)
    old = new if swapped else before
    try:
        discard(old)
        if old.exists():
            old.rmdir()
    except BaseException:
        if swapped:
            exchange(target, new)
        else:
            target.rename(new)
            before.rename(target)
        raise


@contextlib.contextmanager
def _private_folder(target: Path, option: str = "-o") -> Iterator[Path]:
    """A fresh folder beside `target` that only this user can enter, and only for this while."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(private_folder(target))
        except OSError as error:
            raise explain_write_error(error, target, option) from error
        except ValueError as error:
            raise explain_write_error(OSError(errno.EINVAL, str(error)), target, option) from error
        yield folder


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
