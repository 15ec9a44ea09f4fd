"""What a measurement or a fault depends on: the machine, the versions, the commit. Imports nothing heavy."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vmexport.config.threads import usable_cores

PACKAGES = (
    "vmexport",
    "numpy",
    "torch",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "av",
    "safetensors",
    "typer",
    "rich",
)
"""Distributions whose versions are recorded."""

CPU_FEATURES = (
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "avx2",
    "fma",
    "f16c",
    "asimd",
    "asimdhp",
)
"""Instruction sets that matter to the kernels, in the words of /proc/cpuinfo."""


@dataclass(frozen=True)
class Environment:
    """The machine and the software of one run.

    Attributes:
        cpu: the processor's own name.
        cores: cores that this process may use.
        cpu_features: those of `CPU_FEATURES` that the processor has.
        memory_bytes: main memory; 0 where unknown.
        system: operating system and its version.
        python: version of the interpreter.
        packages: version of each installed distribution of `PACKAGES`.
        commit: commit of the source tree, with `-dirty` for changed files; None outside a checkout.
    """

    cpu: str
    cores: int
    cpu_features: tuple[str, ...]
    memory_bytes: int
    system: str
    python: str
    packages: Mapping[str, str]
    commit: str | None


def environment() -> Environment:
    """Look at this machine now."""
    cpuinfo = _cpuinfo()
    flags = (cpuinfo.get("flags") or cpuinfo.get("Features") or "").split()
    return Environment(
        cpu=cpuinfo.get("model name") or cpuinfo.get("Model") or platform.processor() or platform.machine(),
        cores=usable_cores(),
        cpu_features=tuple(name for name in CPU_FEATURES if name in flags),
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := installed_version(name))},
        commit=source_commit(),
    )


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, read from its metadata without importing it."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def source_commit() -> str | None:
    """Commit of the checkout this package lies in, or None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return f"{commit}-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else commit


def _git(root: Path, *words: str) -> str:
    """Output of a git command, empty where git is absent or fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpuinfo() -> dict[str, str]:
    """Entries of /proc/cpuinfo for the first core; empty elsewhere than on Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _memory_bytes() -> int:
    """Main memory in bytes, 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0
