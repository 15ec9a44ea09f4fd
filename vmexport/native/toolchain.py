"""The tools that build the native libraries: found, or named with the package that has them."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmexport.errors import EnvironmentProblem
from vmexport.native.gpu import is_jetson

CMAKE_AT_LEAST = (3, 22)
CUDA_FOLDERS = ("/usr/local/cuda/bin", "/opt/cuda/bin")
"""Where the toolkit lies when nobody has put it on the path."""

SETTINGS = (
    "CXX", "CC", "CXXFLAGS", "LDFLAGS", "CUDACXX", "CUDAHOSTCXX", "CUDAFLAGS", "CMAKE_ARGS",
    "TENSORRT_INCLUDE_DIR", "TENSORRT_ROOT",
)  # fmt: skip
"""Variables of the environment that CMake, or `vmexport plugin build` itself, heeds."""


@dataclass(frozen=True)
class Toolchain:
    """The tools of one build.

    Attributes:
        cmake: the program.
        generator: CMake's name for the build tool.
        make_program: the build tool.
        nvcc: CUDA's compiler, or None.
        tensorrt: version of the TensorRT headers that the plugin is compiled against, or empty.
        versions: first line of each tool's version by name; what a build's key is made of.
    """

    cmake: str
    generator: str
    make_program: str
    nvcc: str | None
    tensorrt: str
    versions: Mapping[str, str]


def find_toolchain(cuda: str, sources: Path | None = None) -> Toolchain:
    """Find the tools.

    Args:
        cuda: `auto`, `on` (nvcc must be there) or `off` (it is not looked for).
        sources: of the native libraries, whose CMake files know where TensorRT's headers may lie; without
            sources these are not looked for.

    Raises:
        EnvironmentProblem: a tool is missing or too old; names its package.
    """
    cmake = _cmake()
    generator, make_program = _build_tool()
    compiler = _compiler()
    nvcc = None if cuda == "off" else find_nvcc()
    if nvcc is None and cuda == "on":
        raise _missing_nvcc()
    versions = {
        "cmake": f"{cmake} {_version(cmake)}",
        "generator": generator,
        "C++ compiler": f"{compiler} {_version(compiler)}",
        "nvcc": "" if nvcc is None else f"{nvcc} {_version(nvcc)}",
        "TensorRT headers": "" if sources is None else _tensorrt(cmake, sources),
    }
    versions.update({name: os.environ[name] for name in SETTINGS if os.environ.get(name)})
    tensorrt = versions["TensorRT headers"].partition(" ")[0]
    return Toolchain(cmake, generator, make_program, nvcc, tensorrt, versions)


def find_nvcc() -> str | None:
    """CUDA's compiler: as the environment says, on the path, or where the toolkit usually lies."""
    given = os.environ.get("CUDACXX")
    if given:
        return shutil.which(given)
    homes = [f"{os.environ[name]}/bin" for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    return shutil.which("nvcc") or shutil.which("nvcc", path=os.pathsep.join([*homes, *CUDA_FOLDERS]))


def _found(name: str) -> list[str]:
    """Programs of a name: those on the path, then that of this Python's environment (pip puts it there)."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), str(Path(sys.executable).parent)]
    hits = (shutil.which(name, path=folder) for folder in folders if folder)
    return list(dict.fromkeys(hit for hit in hits if hit))


def _cmake() -> str:
    """The first cmake that is new enough."""
    wanted = ".".join(map(str, CMAKE_AT_LEAST))
    fix = f"pip install 'cmake>={wanted}' ninja   (or: sudo apt-get install cmake ninja-build)"
    found = _found("cmake")
    if not found:
        raise EnvironmentProblem("cmake was not found", "it builds the native libraries", fix)
    for program in found:
        version = re.search(r"(\d+)\.(\d+)", _version(program))
        if version and (int(version[1]), int(version[2])) >= CMAKE_AT_LEAST:
            return program
    raise EnvironmentProblem(
        "cmake is too old", f"needed {wanted} or newer, found {found[0]}: {_version(found[0])}", fix
    )


def _build_tool() -> tuple[str, str]:
    """CMake's generator and its program: ninja, or make where there is no ninja."""
    for name, generator in (("ninja", "Ninja"), ("make", "Unix Makefiles")):
        found = _found(name)
        if found:
            return generator, found[0]
    raise EnvironmentProblem(
        "neither ninja nor make was found",
        "cmake needs one of them",
        "pip install ninja   (or: sudo apt-get install ninja-build)",
    )


def _compiler() -> str:
    """The C++ compiler that CMake will take: $CXX, or its own order of names."""
    given = os.environ.get("CXX", "")
    names: Sequence[str] = given.split()[:1] or ("c++", "g++", "clang++")
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    why = f"CXX={given} names no program" if given else "the libraries are compiled on this machine"
    raise EnvironmentProblem("no C++ compiler was found", why, "sudo apt-get install g++")


def _tensorrt(cmake: str, sources: Path) -> str:
    """Version and folder of TensorRT's headers as CMake finds them, or nothing."""
    script = sources / "cmake" / "TensorRTHeaders.cmake"
    words = [cmake, f"-DVMEXPORT_PROCESSOR={platform.machine()}", "-P", str(script)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _missing_nvcc() -> EnvironmentProblem:
    """The error for CUDA without its compiler."""
    package = "cuda-toolkit" if is_jetson() else "nvidia-cuda-toolkit"
    why = "not on the path, nor in " + " or ".join(CUDA_FOLDERS)
    if os.environ.get("CUDACXX"):
        why = f"CUDACXX={os.environ['CUDACXX']} names no program"
    return EnvironmentProblem(
        "nvcc was not found, and --cuda on needs it",
        why,
        f"sudo apt-get install {package}   (or, without CUDA: vmexport plugin build --cuda off)",
    )


def _version(program: str) -> str:
    """The line of `--version` that holds the version: nvcc's comes late, all others' first."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not answer: {error}"
    lines = done.stdout.strip().splitlines() or [f"exit status {done.returncode}"]
    return next((line for line in lines if "release" in line), lines[0]).strip()
