"""The timing cache: what TensorRT measured of kernels, kept for the next build on such a machine."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vmexport.errors import EnvironmentProblem, InputError, VmexportError
from vmexport.export.trt.settings import OFF
from vmexport.files import atomic_write, require_writable
from vmexport.native.cache import prepare_root
from vmexport.opening import read_bytes
from vmexport.runtime.tensorrt.device import Gpu
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.logger import complaints, reason

LOG = logging.getLogger("vmexport.tensorrt")
FOLDER = "timing"
LARGEST_CACHE_BYTES = 1 << 30
WITHOUT = "go without: vmexport trt --timing-cache off   (or set XDG_CACHE_HOME to a folder of yours)"


@dataclass
class TimingCache:
    """The timing cache of one build.

    Attributes:
        path: its file; None where it is off.
        reused: whether the build starts from what the file holds.
        notes: why it does not, or why the file was not written.
    """

    path: Path | None = None
    reused: bool = False
    notes: list[str] = field(default_factory=list)

    def save(self, config: Any) -> None:
        """Write what the build measured, an interrupted one too; a failure is only noted."""
        if self.path is None:
            return
        try:
            content = bytes(config.get_timing_cache().serialize())
            with atomic_write(self.path) as temporary:
                temporary.write_bytes(content)
        except Exception as error:  # the engine matters more than its cache
            self.notes.append(f"the timing cache {self.path} was not written: {_line(error)}")


def cache_file(where: Path | str | None, trt: TensorRT, gpu: Gpu) -> Path | None:
    """The file to use, which need not exist; its folder can be written.

    Args:
        where: a path, "off", or None for the user's cache folder.
        trt: the library.
        gpu: the GPU that is measured.

    Raises:
        EnvironmentProblem: the user's cache folder cannot be used.
        InputError: the named place cannot be used.
    """
    if where == OFF:
        return None
    if where is not None:
        require_writable(where, "--timing-cache")
        return Path(where)
    try:
        folder = prepare_root() / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
    except EnvironmentProblem as error:
        raise EnvironmentProblem(error.what, error.why, WITHOUT) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise EnvironmentProblem("cannot make the folder of timing caches", why, WITHOUT) from error
    if not os.access(folder, os.W_OK):
        raise EnvironmentProblem(f"cannot write the cache folder {folder}", "no permission", WITHOUT)
    words = (gpu.name, f"sm{gpu.compute_capability}", trt.flavour, trt.version, f"cuda{gpu.cuda_driver}")
    return folder / f"{'-'.join(re.sub(r'[^A-Za-z0-9.]+', '_', word) for word in words)}.cache"


def attach_cache(trt: TensorRT, config: Any, path: Path | None) -> TimingCache:
    """Give a build its timing cache; one that is damaged or of another GPU is left out with a note."""
    if path is None:
        config.set_flag(trt.module.BuilderFlag.DISABLE_TIMING_CACHE)
        return TimingCache()
    cache = TimingCache(path)
    content = b""
    try:
        if path.exists():
            content = read_bytes(path, LARGEST_CACHE_BYTES)
        else:
            LOG.info("a new timing cache: %s", path)
    except (InputError, OSError) as error:
        why = error.why if isinstance(error, InputError) else error.strerror or error
        cache.notes.append(f"the timing cache {path} was ignored: {why}")
    if content:
        problem = _use(trt, config, content)
        cache.reused = not problem
        if not problem:
            return cache
        cache.notes.append(f"the timing cache {path} was ignored and will be replaced: {problem}")
    problem = _use(trt, config, b"")
    if problem:
        return TimingCache(None, notes=[*cache.notes, f"built without a timing cache: {problem}"])
    return cache


def _use(trt: TensorRT, config: Any, content: bytes) -> str:
    """Attach a cache; why TensorRT does not take it, or nothing."""
    with complaints(trt) as heard:
        try:
            cache = config.create_timing_cache(content)
            taken = cache is not None and config.set_timing_cache(cache, False)
        except Exception as error:  # the bindings raise TypeError and RuntimeError where C++ returns null
            return reason(heard, _line(error))
    return "" if taken else reason(heard, "it belongs to another GPU, TensorRT or CUDA")


def _line(error: Exception) -> str:
    if isinstance(error, VmexportError):
        return f"{error.what}: {error.why}".rstrip(": ")
    return " ".join(f"{type(error).__name__}: {error}".split())
