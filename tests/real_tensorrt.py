"""NVIDIA's own libraries, as far as they run without a GPU, and our plugins built for them."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "real-tensorrt"
LEAN = "tensorrt-lean-cu13-libs==11.4.0.106"
TARGETS = ("vmexport_trt", "vmexport_trt_autoreg", "vmexport_trt_registry_tests")


@functools.cache
def headers(*majors: int) -> Path:
    """Folder of NvInfer.h of one of these major versions: of `TENSORRT_INCLUDE_DIRS`, or found by CMake."""
    for folder in (*os.environ.get("TENSORRT_INCLUDE_DIRS", "").split(), ""):
        said = _cmake(
            f"-DVMEXPORT_TENSORRT_INCLUDE_DIR={folder}",
            f"-DVMEXPORT_PROCESSOR={platform.machine()}",
            "-P",
            str(ROOT / "plugins/cmake/TensorRTHeaders.cmake"),
        )
        version, _, found = said.strip().partition(" ")
        if version and int(version.split(".")[0]) in majors:
            return Path(found)
    wanted = " or ".join(map(str, majors))
    pytest.skip(f"no headers of TensorRT {wanted}: make integration TENSORRT_INCLUDE_DIRS=<folders>")


@functools.cache
def plugins(*majors: int) -> Path:
    """The build folder of the plugin libraries for the headers of one of these major versions."""
    include = headers(*majors)
    folder = BUILD / include.as_posix().strip("/").replace("/", "_")
    said = _cmake(
        "-S", str(ROOT / "plugins"), "-B", str(folder), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        "-DVMEXPORT_TENSORRT=ON", f"-DVMEXPORT_TENSORRT_INCLUDE_DIR={include}",
        "-DVMEXPORT_CUDA_ARCHITECTURES=89",
        "-DVMEXPORT_BUILD_TESTS=ON", "-DVMEXPORT_ONNXRUNTIME=OFF", "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON",
    )  # fmt: skip
    if "libvmexport_trt.so: BUILT" not in said:
        pytest.skip("the plugins are not built here: no nvcc")
    _cmake("--build", str(folder), "--target", *TARGETS)
    return folder


@functools.cache
def lean_library() -> Path:
    """libnvinfer_lean.so.11 of NVIDIA's wheel, 44 MB, which is fetched once."""
    folder = BUILD / "lean"
    library = folder / "tensorrt_lean_libs" / "libnvinfer_lean.so.11"
    if not library.exists():
        if platform.machine() != "x86_64":
            pytest.skip("the wheel is for x86-64")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", str(folder), LEAN], check=True, timeout=600)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as content:
            content.extractall(folder)
        wheel.unlink()
    return library


def rtx_library() -> Path:
    """libtensorrt_rtx.so.1 of NVIDIA's Python package."""
    module = pytest.importorskip("tensorrt_rtx_libs")
    return Path(str(module.__file__)).with_name("libtensorrt_rtx.so.1")


def _cmake(*words: str) -> str:
    """What CMake says."""
    cmake = shutil.which(
        "cmake", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    )
    if cmake is None:
        pytest.skip("no cmake")
    path = os.pathsep.join((str(Path(cmake).parent), os.environ["PATH"]))
    done = subprocess.run(
        [cmake, *words], capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
