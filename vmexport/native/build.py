"""`build_plugins`: the native libraries for this machine, built with CMake into the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from vmexport.config.choices import Cuda
from vmexport.config.progress import Progress
from vmexport.config.threads import usable_cores
from vmexport.errors import BuildError, UsageError
from vmexport.files import FULL_DISK
from vmexport.native import cache, gpu
from vmexport.native.cache import BUILT, Target, built, parse_targets
from vmexport.native.cmake import disk_full, run_step
from vmexport.native.libraries import ABI_VERSION
from vmexport.native.sources import require_sources, source_digest
from vmexport.native.toolchain import Toolchain, find_toolchain

if TYPE_CHECKING:
    from typing_extensions import Unpack

LOG = "build.log"
HEADERS = Path("onnxruntime-headers") / "include"
"""Where CMake unpacks ONNX Runtime's headers, within a build folder."""
BYTES_PER_JOB = 3 << 29
"""Memory that one compiler may need (nvcc with its templates; 1.5 GiB): fewer jobs where there is less."""


@dataclass(frozen=True)
class BuildReport:
    """Outcome of `vmexport.build_plugins`.

    Attributes:
        folder: where the libraries lie.
        targets: every target that CMake reported.
        reused: the libraries were here already, made from the same sources by the same tools.
        seconds: how long it took.
        cuda: `auto`, `on` or `off`, as asked for.
        architectures: GPU architectures asked for, such as `87`; empty stands for CMake's full list.
        notes: remarks on how the request was understood.
        toolchain: versions of the tools by name.
        log: the whole output of CMake and the compilers.
    """

    folder: Path
    targets: tuple[Target, ...]
    reused: bool
    seconds: float
    cuda: str
    architectures: tuple[str, ...]
    notes: tuple[str, ...]
    toolchain: Mapping[str, str]
    log: Path


@dataclass(frozen=True)
class BuildRequest:
    """What to build, in the caller's words; everything may be left out.

    Attributes:
        cuda: `auto` builds the CUDA libraries where nvcc is, `on` refuses to go without them, `off` leaves
            them out.
        architectures: GPU architectures: `native` for this machine's GPU (all where there is none), `all`, or
            a list such as `87;90`.
        jobs: compilers at a time; 0: one a core, fewer where memory is scarce.
        force: build even if the cache has it.

    Raises:
        UsageError: a value out of range.
    """

    cuda: str = Cuda.AUTO.value
    architectures: str = "native"
    jobs: int = 0
    force: bool = False

    def __post_init__(self) -> None:
        if self.cuda not in Cuda.all():
            known = ", ".join(Cuda.all())
            raise UsageError(f"unknown value for cuda: {self.cuda!r}", f"expected one of {known}")
        if self.jobs < 0:
            raise UsageError(f"unknown value for jobs: {self.jobs}", "expected 0 (as many as fit) or more")


class BuildOptions(TypedDict, total=False):
    """The fields of `BuildRequest` as keywords of `build_plugins`."""

    cuda: str
    architectures: str
    jobs: int
    force: bool


@dataclass(frozen=True)
class Request:
    """What to build, understood.

    Attributes:
        cuda: `auto`, `on` or `off`.
        architectures: GPU architectures, such as `87`; empty stands for CMake's full list.
        notes: remarks on how the words were understood.
        jobs: compilers at a time.
    """

    cuda: str
    architectures: tuple[str, ...]
    notes: tuple[str, ...]
    jobs: int


def build_plugins(
    *, request: BuildRequest | None = None, progress: Progress | None = None, **options: Unpack[BuildOptions]
) -> BuildReport:
    """Build every native library that this machine has the tools for; what is in the cache already is reused.

    Args:
        request: what to build, made beforehand; None takes the defaults.
        progress: called with what is being done, and how many of how many steps are.
        **options: fields of `BuildRequest` that differ, such as `cuda="off"`.

    Returns:
        every target, built or skipped and why.

    Raises:
        UsageError: an unknown value of `cuda` or `architectures`.
        EnvironmentProblem: a tool or the sources are missing, or the cache folder cannot be used.
        BuildError: it does not compile, or the disk is full; nothing half-written is left behind.
        OutOfMemory: a compiler was killed for its memory.
    """
    started = time.monotonic()
    say: Progress = progress or (lambda _text, _done, _total: None)
    asked = replace(request or BuildRequest(), **options)
    wanted = _understand(asked)
    sources = require_sources()
    tools = find_toolchain(asked.cuda, sources)
    digest = source_digest(sources)
    key = _key(digest, tools, wanted)
    with _disk_errors():
        root = cache.prepare_root()
        with cache.exclusive(root, lambda: say("waiting for another vmexport plugin build", 0, 0)) as scratch:
            entry = next((old for old in cache.entries() if old.key == key), None)
            reusable = entry is not None and not asked.force
            if entry is None or asked.force or not _complete(entry.targets):
                build = _Build(sources, scratch, tools, wanted, say)
                targets = _configure(build, root)
                # What was skipped for want of something (headers, a network) may have come within reach.
                reusable = reusable and entry is not None and targets == entry.targets
                if not reusable:
                    _compile(build, targets)
                    manifest = _manifest(digest, tools, wanted, targets)
                    _keep_headers(scratch, sources, root)
                    entry = cache.publish(_libraries(scratch), key, manifest)
    assert entry is not None
    return BuildReport(
        folder=entry.folder,
        targets=entry.targets,
        reused=reusable,
        seconds=time.monotonic() - started,
        cuda=asked.cuda,
        architectures=wanted.architectures,
        notes=wanted.notes,
        toolchain=tools.versions,
        log=entry.folder / LOG,
    )


@dataclass(frozen=True)
class _Build:
    """One build under way."""

    sources: Path
    scratch: Path
    tools: Toolchain
    request: Request
    say: Progress

    @property
    def folder(self) -> Path:
        """CMake's build folder."""
        return self.scratch / "build"

    @property
    def log(self) -> Path:
        """Where a failure can be read up; it outlives the scratch folder."""
        return self.scratch.parent / LOG

    def run(self, *words: str) -> None:
        """Run cmake."""
        environment = {**os.environ, "NINJA_STATUS": "[%f/%t] ", "CLICOLOR_FORCE": "0"}
        if self.tools.nvcc:
            environment["CUDACXX"] = self.tools.nvcc
        run_step([self.tools.cmake, *words], self.log, self.say, environment)


def _key(digest: str, tools: Toolchain, request: Request) -> str:
    """Digest of all that decides what comes out."""
    parts = [digest, ABI_VERSION, dict(tools.versions), request.cuda, request.architectures]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _complete(targets: tuple[Target, ...]) -> bool:
    """Whether nothing was left out."""
    return all(target.state == BUILT for target in targets)


def _configure(build: _Build, root: Path) -> tuple[Target, ...]:
    """Run CMake's configuration; what it will build and what not."""
    build.say("configuring", 0, 0)
    build.log.unlink(missing_ok=True)
    tools, request = build.tools, build.request
    words = [
        "-S", str(build.sources), "-B", str(build.folder), "-G", tools.generator,
        f"-DCMAKE_MAKE_PROGRAM={tools.make_program}", "-DCMAKE_BUILD_TYPE=Release",
        f"-DVMEXPORT_CUDA={request.cuda.upper()}",
    ]  # fmt: skip
    if request.architectures:
        words.append(f"-DVMEXPORT_CUDA_ARCHITECTURES={';'.join(request.architectures)}")
    headers = _headers(build.sources, root)
    if headers.is_dir():
        words.append(f"-DVMEXPORT_ORT_INCLUDE_DIR={headers}")
    build.run(*words, *shlex.split(os.environ.get("CMAKE_ARGS", "")))
    return read_targets(build.folder / "report.json")


def _compile(build: _Build, targets: tuple[Target, ...]) -> None:
    """Compile, install into the scratch folder and see that everything is there."""
    build.say("compiling", 0, 0)
    build.run("--build", str(build.folder), "--parallel", str(build.request.jobs))
    build.run("--install", str(build.folder), "--prefix", str(build.scratch / "install"))
    folder = _libraries(build.scratch)
    lacking = [name for name in built(targets) if not (folder / name).is_file()]
    if lacking:
        raise BuildError(
            "the build left out what it had announced",
            f"no {', '.join(lacking)} after the installation",
            "vmexport plugin build --force",
        )
    build.log.replace(folder / LOG)


def _libraries(scratch: Path) -> Path:
    """Where the installation puts the libraries."""
    return scratch / "install" / "vmexport" / "_native"


def _manifest(digest: str, tools: Toolchain, request: Request, targets: tuple[Target, ...]) -> dict[str, Any]:
    """What an entry of the cache says of itself."""
    return {
        "sources": digest,
        "built_at": time.time(),
        "targets": [vars(target) for target in targets],
        "request": {"cuda": request.cuda, "architectures": request.architectures},
        "toolchain": dict(tools.versions),
        "tensorrt": tools.tensorrt,
    }


def _headers(sources: Path, root: Path) -> Path:
    """Where ONNX Runtime's headers of an earlier build are kept, as pinned by this version's CMake file."""
    pinned = (sources / "cmake" / "OnnxRuntimeHeaders.cmake").read_bytes()
    return root / "headers" / hashlib.sha256(pinned).hexdigest()[:16]


def _keep_headers(scratch: Path, sources: Path, root: Path) -> None:
    """Keep downloaded headers, so that the next build needs no network."""
    fetched, kept = scratch / "build" / HEADERS, _headers(sources, root)
    if fetched.is_dir() and not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        fetched.replace(kept)


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """A full disk met by this process itself."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise disk_full(cache.cache_root().parent) from error
        raise


def read_targets(path: Path) -> tuple[Target, ...]:
    """Read the `report.json` that `plugins/cmake/Report.cmake` writes.

    Raises:
        BuildError: it is missing or damaged.
    """
    try:
        return parse_targets(json.loads(path.read_text(encoding="utf-8"))["targets"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(
            "CMake wrote no report of its targets", f"{path}: {error}", "vmexport plugin build --force"
        ) from error


def _understand(asked: BuildRequest) -> Request:
    """Look up what `native` stands for.

    Raises:
        UsageError: unreadable architectures, with an example.
    """
    cuda, architectures = asked.cuda, asked.architectures
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if architectures == "native":
        names = () if cuda == "off" else gpu.compute_capabilities()
        if not names and cuda != "off":
            notes = ("no GPU was found here, so CUDA code is built for all architectures",)
    elif architectures != "all":
        names = tuple(word for word in re.split(r"[;,\s]+", architectures) if word)
        wrong = [word for word in names if not re.fullmatch(r"\d{2,3}", word)]
        if wrong or not names:
            raise UsageError(
                f"unknown value for architectures: {architectures!r}",
                "expected native, all, or compute capabilities without the dot",
                'vmexport plugin build --architectures "87;90"',
            )
        names = tuple(sorted(set(names), key=int))
    return Request(cuda, names, notes, asked.jobs or _jobs())


def _jobs() -> int:
    """One compiler a core, as far as memory goes."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return usable_cores()
    return max(1, min(usable_cores(), free // BYTES_PER_JOB))
