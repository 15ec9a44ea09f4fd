"""Whether another user could have put a file where it lies: loading such a library runs their code."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vmexport.errors import EnvironmentProblem


def require_trusted(path: Path, *also: Path) -> None:
    """Refuse a library that is, or whose folder is, open to other users.

    Args:
        path: the library; it and its folder must belong to this user or root, and be closed to others.
        also: further places that must be so.

    Raises:
        EnvironmentProblem: names the place, the reason and the command that mends it.
    """
    for place in (path, path.parent, *also):
        complaint = distrust(place)
        if complaint is not None:
            problem, fix = complaint
            raise EnvironmentProblem(
                f"will not load {path}",
                f"{place}: {problem}",
                f"{fix}   (once you trust what it holds)",
            )


def distrust(place: Path, private: bool = False) -> tuple[str, str] | None:
    """Why a file or folder cannot be trusted, and the command that mends it; None where it can.

    Args:
        place: what to look at.
        private: the group must not be able to write it either.
    """
    status = place.stat()
    if status.st_mode & stat.S_IWOTH:
        return "everybody may write it", f"chmod o-w {place}"
    if private and status.st_mode & stat.S_IWGRP:
        return "its group may write it", f"chmod g-w {place}"
    if status.st_uid not in (0, os.getuid()):
        return (
            f"it belongs to user {status.st_uid}, not to you or root",
            f"chown {os.getuid()} {place}",
        )
    return None


def require_trusted_engine(path: Path, *beside: Path) -> None:
    """Refuse an engine that another user could have written: loading one runs what is in it.

    Unlike a library it lies where its user wants it. A folder that everybody may write is no danger where
    only owners may replace files (the sticky bit of `/tmp`).

    Args:
        path: the engine; it must belong to this user or root, and be closed to others.
        beside: files that go with it, to be copied along.

    Raises:
        EnvironmentProblem: names the place, the reason and the command that mends it.
    """
    sticky = path.parent.stat().st_mode & stat.S_ISVTX
    for place in (path,) if sticky else (path, path.parent):
        complaint = distrust(place)
        if complaint is None:
            continue
        problem, fix = complaint
        if problem.startswith("it belongs"):  # nobody but root can give files away; a copy is one's own
            fix = f"cp {' '.join(map(str, (path, *beside)))} <a folder of yours>"
        raise EnvironmentProblem(
            f"will not load {path}: an engine is code, and another user could have written this one",
            f"{place}: {problem}",
            f"{fix}   (once you trust what it holds)",
        )
