"""What a build is asked for: the words of a call, checked, and what `native` stands for on this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from vmexport.config.threads import usable_cores
from vmexport.errors import UsageError
from vmexport.ops import gpu

CUDA_CHOICES = ("auto", "on", "off")
BYTES_PER_JOB = 3 << 29
"""Memory that one compiler may need (nvcc with its templates; 1.5 GiB): fewer jobs where there is less."""


@dataclass(frozen=True)
class Request:
    """What to build.

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


def understand(cuda: str, architectures: str, jobs: int) -> Request:
    """Check the words of a call and look up what `native` stands for.

    Raises:
        UsageError: an unknown value, with those there are.
    """
    if cuda not in CUDA_CHOICES:
        raise UsageError(f"unknown value for cuda: {cuda!r}", f"expected one of {', '.join(CUDA_CHOICES)}")
    if jobs < 0:
        raise UsageError(f"unknown value for jobs: {jobs}", "expected 0 (as many as fit) or more")
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
    return Request(cuda, names, notes, jobs or _jobs())


def _jobs() -> int:
    """One compiler a core, as far as memory goes."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return usable_cores()
    return max(1, min(usable_cores(), free // BYTES_PER_JOB))
