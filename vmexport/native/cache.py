"""The user's cache of built libraries: a private folder, whole entries only, the newest of each kind first.

<cache>/vmexport/native/<version>/<platform>/<entry>/   libraries, build.log and, written last, build.json
<cache>/vmexport/scratch/                               a build under way, or the debris of one
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from vmexport.errors import EnvironmentProblem
from vmexport.files import FULL_DISK
from vmexport.native.trust import distrust
from vmexport.package import VERSION

MANIFEST = "build.json"
BUILT, SKIPPED = "BUILT", "SKIPPED"
"""States of a target."""
KEPT_ENTRIES = 8
"""Entries of one version and platform that stay; older ones go with the next build."""


@dataclass(frozen=True)
class Target:
    """One target of the CMake project.

    Attributes:
        name: file name of a library.
        state: `BUILT` or `SKIPPED`.
        detail: what it is, or why it was skipped and which package has what it lacks.
    """

    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class Entry:
    """One complete build.

    Attributes:
        folder: where its libraries lie.
        key: digest of the sources, the tools and the request.
        sources: digest of the sources alone.
        built_at: seconds since the epoch.
        targets: what CMake reported.
        request: the settings it was built with.
        tensorrt: version of the TensorRT headers that were there, such as `10.3.0`, or empty.
    """

    folder: Path
    key: str
    sources: str
    built_at: float
    targets: tuple[Target, ...]
    request: Mapping[str, Any]
    tensorrt: str = ""


def cache_root() -> Path:
    """vmexport's folder in the user's cache folder, by the system's conventions; it need not exist.

    Raises:
        EnvironmentProblem: the user has no home folder.
    """
    try:
        return platformdirs.user_cache_path("vmexport")
    except RuntimeError as error:
        raise EnvironmentProblem(
            "there is no cache folder", str(error), "export XDG_CACHE_HOME=<a folder of yours>"
        ) from error


def platform_tag() -> str:
    """What libraries of one machine need of another: system, processor, C library."""
    library, version = platform.libc_ver()
    return f"{sys.platform}-{platform.machine()}-{library or 'libc'}{version}"


def untrusted_root() -> EnvironmentProblem | None:
    """Why nothing of the cache may be loaded, or None."""
    root = cache_root()
    if not root.is_dir():
        return None
    complaint = distrust(root, private=True)
    if complaint is None:
        return None
    problem, fix = complaint
    return EnvironmentProblem(
        f"will not use the cache folder {root}", f"{root}: {problem}", f"{fix}   (or: rm -r {root})"
    )


def prepare_root() -> Path:
    """The cache folder, made where it is missing.

    Raises:
        EnvironmentProblem: it cannot be made, or another user could write it.
    """
    root = cache_root()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            root.mkdir(mode=0o700)
        probe = root / f"probe-{uuid.uuid4().hex}"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        if error.errno in FULL_DISK:
            raise  # the caller knows what to say of a full disk
        raise _unusable(root, error) from error
    problem = untrusted_root()
    if problem is not None:
        raise problem
    return root.resolve()


def platform_folder() -> Path:
    """Where the entries of this version and platform lie."""
    return cache_root().resolve() / "native" / VERSION / platform_tag()


def entries() -> list[Entry]:
    """Complete entries of this version and platform, the newest first."""
    try:
        folders = [path for path in platform_folder().iterdir() if path.is_dir()]
    except OSError:
        return []
    found = [entry for entry in map(_read, folders) if entry is not None]
    return sorted(found, key=lambda entry: entry.built_at, reverse=True)


def publish(folder: Path, key: str, manifest: Mapping[str, Any]) -> Entry:
    """Make a finished build an entry, in one step; its predecessors under the same key go.

    Args:
        folder: the libraries and the log, on the cache's own file system; it is moved away.
        key: see `Entry`.
        manifest: see `Entry`; written last, since an entry without it does not count.
    """
    text = json.dumps({**manifest, "key": key}, indent=1)
    target = platform_folder() / f"{key[:16]}-{uuid.uuid4().hex[:8]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    folder.chmod(0o700)
    folder.replace(target)
    entry = _read(target)
    assert entry is not None
    for position, old in enumerate(entries()):
        if old.folder != target and (old.key == key or position >= KEPT_ENTRIES):
            shutil.rmtree(old.folder, ignore_errors=True)
    return entry


@contextlib.contextmanager
def exclusive(root: Path, waiting: Callable[[], None]) -> Iterator[Path]:
    """Hold the cache for one build; the lock goes with the process, however that ends.

    Args:
        root: the cache folder.
        waiting: called once where another process holds the lock.

    Yields:
        an empty scratch folder, removed at the end.
    """
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        scratch = root / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
        scratch.mkdir(mode=0o700)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(descriptor)


def _read(folder: Path) -> Entry | None:
    """The entry in a folder, or None where it is not whole."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        entry = Entry(
            folder,
            str(manifest["key"]),
            str(manifest["sources"]),
            float(manifest["built_at"]),
            parse_targets(manifest["targets"]),
            dict(manifest["request"]),
            str(manifest.get("tensorrt", "")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return entry if all((folder / name).is_file() for name in built(entry.targets)) else None


def _unusable(root: Path, error: OSError) -> EnvironmentProblem:
    """The error for a cache folder that cannot be written."""
    return EnvironmentProblem(
        f"cannot write the cache folder {root}",
        error.strerror or str(error),
        "XDG_CACHE_HOME=<a folder of yours> vmexport plugin build",
    )


def parse_targets(values: Iterable[Mapping[str, Any]]) -> tuple[Target, ...]:
    """Targets from JSON objects."""
    return tuple(Target(str(x["name"]), str(x["state"]), str(x["detail"])) for x in values)


def built(targets: Iterable[Target]) -> tuple[str, ...]:
    """Names of the targets that are libraries and were built."""
    return tuple(x.name for x in targets if x.state == BUILT and x.name.endswith(".so"))
