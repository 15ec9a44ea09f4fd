"""The sources of the native libraries: where they lie, and a digest of their state."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from vmexport.errors import EnvironmentProblem
from vmexport.package import package_folders

INSTALLED = "_plugins"
"""Folder of the sources within an installed package."""
LEFT_OUT = ("tests", "__pycache__")
"""Folders that no library is made of."""


def source_folder() -> Path | None:
    """The folder of the top `CMakeLists.txt`: the source tree's `plugins`, else the copy in the package."""
    for package in package_folders():
        # An installed package must not take another project's "plugins" beside it for its own.
        tree = package.resolve().parent
        if (tree / "pyproject.toml").is_file() and (tree / "plugins" / "capi" / "vmexport.h").is_file():
            return tree / "plugins"
    for package in package_folders():
        folder = package.resolve() / INSTALLED
        if (folder / "CMakeLists.txt").is_file():
            return folder
    return None


def require_sources() -> Path:
    """As `source_folder`.

    Raises:
        EnvironmentProblem: this installation came without them.
    """
    folder = source_folder()
    if folder is None:
        raise EnvironmentProblem(
            "the sources of the native libraries are not here",
            f"neither plugins/ of a source tree nor {INSTALLED}/ in {', '.join(map(str, package_folders()))}",
            "pip install --force-reinstall --no-deps .   (in a source tree of vmexport)",
        )
    return folder


def source_digest(folder: Path) -> str:
    """SHA-256 over names and contents of all sources, tests left out."""
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] not in LEFT_OUT and path.is_file():
            status = path.stat()
            files.append((str(relative), status.st_size, status.st_mtime_ns))
    return _digest(folder, tuple(files))


@functools.lru_cache(maxsize=4)
def _digest(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """Read again only what changed since the last question."""
    total = hashlib.sha256()
    for name, _, _ in files:
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()
