"""Finding the native libraries of this installation, refusing any that another user could have put there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import vmexport
from vmexport.errors import EnvironmentProblem

SCAN_LIBRARY = "libvmexport_scan.so"
CUDA_LIBRARY = "libvmexport_scan_cuda.so"
BUILD_FIX = "make native   (in a source tree; or: pip install . with a C++17 compiler)"
CUDA_BUILD_FIX = "vmexport plugin build --cuda on"


def library_path(name: str) -> Path | None:
    """Where a native library lies, or None where it was not built.

    Only the `_native` folders of the package itself are searched (an editable install has two of them), never
    the system's library path.

    Args:
        name: file name, such as `libvmexport_scan.so`.

    Raises:
        EnvironmentProblem: it is there, but another user of this machine could have written it.
    """
    for entry in vmexport.__path__:
        path = Path(entry) / "_native" / name
        if path.is_file():
            _require_trusted(path.resolve())
            return path.resolve()
    return None


def _require_trusted(path: Path) -> None:
    """Refuse a library that is, or whose folder is, open to other users: loading it would run their code."""
    for place in (path, path.parent):
        status = place.stat()
        if status.st_mode & stat.S_IWOTH:
            problem, fix = "everybody may write it", f"chmod o-w {place}"
        elif status.st_uid not in (0, os.getuid()):
            problem = f"it belongs to user {status.st_uid}, not to you or root"
            fix = f"chown {os.getuid()} {place}"
        else:
            continue
        raise EnvironmentProblem(
            f"will not load {path}",
            f"{place}: {problem}",
            f"{fix}   (once you trust what it holds)",
        )
