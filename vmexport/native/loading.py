"""Finding the native libraries of this installation, refusing any that another user could have put there.

A library may lie in the package (`_native`, from `pip install` or `make native`) and in the user's cache
(from `vmexport plugin build`). The one that was built last counts; of the cache only what was made
completely, from exactly the sources of this installation, for this kind of machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmexport.errors import EnvironmentProblem
from vmexport.native import cache
from vmexport.native.cache import built
from vmexport.native.libraries import (
    BUILD_FIX,
    CUDA_BUILD_FIX,
    CUDA_LIBRARY,
    LIBRARIES,
    SCAN_LIBRARY,
    build_fix,
    file_name,
)
from vmexport.native.sources import source_digest, source_folder
from vmexport.native.trust import require_trusted
from vmexport.package import package_folders

__all__ = [
    "BUILD_FIX",
    "CUDA_BUILD_FIX",
    "CUDA_LIBRARY",
    "NOT_BUILT",
    "SCAN_LIBRARY",
    "Location",
    "library_path",
    "locate",
    "locate_plugins",
]

PACKAGE, CACHE = "package", "cache"
NOT_BUILT = "not built"


@dataclass(frozen=True)
class Location:
    """Where a library lies.

    Attributes:
        name: file name.
        path: the file; None where it is missing or not trusted.
        origin: `package` or `cache`; empty without a path.
        problem: why there is no path; empty where there is one.
        fix: what to type where there is no path.
    """

    name: str
    path: Path | None
    origin: str = ""
    problem: str = ""
    fix: str = ""


def library_path(name: str, tensorrt_major: int | None = None) -> Path | None:
    """Where a native library lies, or None where it was not built.

    Only the package's own `_native` folders (an editable install has two of them) and vmexport's folder in
    the user's cache are searched, never the system's library path.

    Args:
        name: file name, such as `libvmexport_scan.so`.
        tensorrt_major: of the cache, only a build against this major version of TensorRT; the package's own
            copy is the caller's to question (`vmexport_trt_build_info`).

    Raises:
        EnvironmentProblem: it is there, but another user of this machine could have written it.
    """
    found = _find(name, tensorrt_major)
    return None if found is None else found[0]


def locate(word: str) -> Location:
    """Where one library lies.

    Args:
        word: `libvmexport_scan.so`, or `scan` for short.

    Raises:
        UsageError: there is no such library.
    """
    name = file_name(word)
    try:
        found = _find(name)
    except EnvironmentProblem as error:
        return Location(name, None, problem=f"{error.what}: {error.why}", fix=error.fix)
    if found is None:
        return Location(name, None, problem=NOT_BUILT, fix=build_fix(name))
    return Location(name, *found)


def locate_plugins() -> tuple[Location, ...]:
    """Where each of the native libraries lies."""
    return tuple(locate(name) for name in LIBRARIES)


def _find(name: str, tensorrt_major: int | None = None) -> tuple[Path, str] | None:
    """Path and origin of the newest copy that counts."""
    packaged = _in_package(name)
    entry = _in_cache(name, tensorrt_major, may_refuse=packaged is None)
    sure = tensorrt_major is not None  # of the entry: nobody has asked the packaged copy
    if entry is not None and (packaged is None or sure or entry.built_at > packaged.stat().st_mtime):
        path = (entry.folder / name).resolve()
        root = cache.cache_root().resolve()
        require_trusted(path, *(place for place in path.parents if place.is_relative_to(root)))
        return path, CACHE
    if packaged is None:
        return None
    require_trusted(packaged)
    return packaged, PACKAGE


def _in_package(name: str) -> Path | None:
    """The package's own copy."""
    paths = (folder / "_native" / name for folder in package_folders())
    return next((path.resolve() for path in paths if path.is_file()), None)


def _in_cache(name: str, tensorrt_major: int | None, may_refuse: bool) -> cache.Entry | None:
    """The newest entry of the cache that holds the library, made from the sources of this installation.

    Raises:
        EnvironmentProblem: nothing there can be trusted and there is no other copy (`may_refuse`).
    """
    try:
        candidates = [
            entry
            for entry in cache.entries()
            if name in built(entry.targets)
            and tensorrt_major in (None, int(entry.tensorrt.partition(".")[0] or 0))
        ]
        problem = cache.untrusted_root() if candidates else None
    except EnvironmentProblem:
        return None  # no cache folder at all
    sources = source_folder() if candidates else None
    if sources is None:
        return None
    digest = source_digest(sources)
    entry = next((entry for entry in candidates if entry.sources == digest), None)
    if entry is not None and problem is not None:
        if may_refuse:
            raise problem
        return None
    return entry
