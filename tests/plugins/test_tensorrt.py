"""The TensorRT plugin libraries: their exports, loading them without TensorRT, and a real registry.

The plugins themselves are tested from headers alone by `make tensorrt-test` (plugins/tests/trt_tests.cpp).
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiled

NAMES = ("libvmexport_trt.so", "libvmexport_trt_autoreg.so")


def built(root: Path, name: str) -> Path:
    """A file of the newest build of this tree that has it."""
    places = [*root.glob(f"vmexport/_native/{name}"), *root.glob(f"build/**/{name}")]
    if not places:
        pytest.skip(f"{name} is not built (needs nvcc and TensorRT's headers)")
    return max(places, key=lambda path: path.stat().st_mtime)


def build_info(path: Path) -> dict[str, str]:
    """What a library says of itself, asked in a process of its own."""
    script = (
        "import ctypes, sys\n"
        "info = ctypes.CDLL(sys.argv[1]).vmexport_trt_build_info\n"
        "info.restype = ctypes.c_char_p\n"
        "print(info().decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    info: dict[str, str] = json.loads(done.stdout)
    return info


@pytest.mark.parametrize("name", NAMES)
def test_they_say_what_they_were_built_for(root_dir: Path, name: str) -> None:
    info = build_info(built(root_dir, name))
    major = int(info["tensorrt"].split(".")[0])
    assert info["interface"] == ("IPluginV3" if major >= 10 else "IPluginV2DynamicExt")
    assert re.fullmatch(r"(sm_\d+ )+compute_\d+", info["architectures"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["version"])


@pytest.mark.parametrize("name", NAMES)
def test_only_the_entry_points_are_seen(root_dir: Path, name: str) -> None:
    """No CUDA runtime and no C++ library leaks out of a plugin into the host's process."""
    path, nm = built(root_dir, name), shutil.which("nm")
    if nm is None:
        pytest.skip("no nm (binutils)")
    lines = subprocess.run(
        [nm, "-D", "--defined-only", str(path)], capture_output=True, text=True, check=True
    )
    symbols = {line.split()[-1] for line in lines.stdout.splitlines()}
    expected = {"vmexport_trt_build_info"}
    if name == NAMES[0]:
        old = build_info(path)["tensorrt"].startswith("8.")
        expected |= {"getPluginCreators" if old else "getCreators", "setLoggerFinder"}
    else:
        expected |= {"vmexport_trt_problem"}
    assert symbols == expected


def test_without_tensorrt_loading_says_why_and_does_no_harm(root_dir: Path) -> None:
    path = built(root_dir, NAMES[1])
    script = (
        "import ctypes, sys\n"
        "problem = ctypes.CDLL(sys.argv[1]).vmexport_trt_problem\n"
        "problem.restype = ctypes.c_char_p\n"
        "print((problem() or b'registered').decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if done.stdout.strip() == "registered":
        pytest.skip("this machine has a TensorRT")
    assert "there is no TensorRT" in done.stdout
    assert "the TensorRT plugins are not registered\nwhy: there is no TensorRT" in done.stderr


def test_a_real_registry_takes_and_finds_the_plugins(root_dir: Path) -> None:
    """VMEXPORT_TEST_NVINFER names a libnvinfer of the major version that the plugins were built for."""
    library = os.environ.get("VMEXPORT_TEST_NVINFER")
    if library is None:
        pytest.skip("VMEXPORT_TEST_NVINFER names no libnvinfer.so.<major>")
    program = built(root_dir, "vmexport_trt_registry_tests")
    plugins = [program.parent.parent / "tensorrt" / name for name in reversed(NAMES)]
    version = ctypes.CDLL(library).getInferLibVersion()
    major = version // 10000 if version >= 100000 else version // 1000
    if int(build_info(plugins[0])["tensorrt"].split(".")[0]) != major:
        pytest.skip(f"the plugins were not built for TensorRT {major}")
    done = subprocess.run(
        [str(program), library, *map(str, plugins)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all registry tests passed" in done.stdout


def test_a_folder_without_headers_is_no_success(root_dir: Path, tmp_path: Path) -> None:
    """A header folder that is not there is an error that names it."""
    done = subprocess.run(
        [
            "sh",
            str(root_dir / "plugins/cmake/tensorrt_test.sh"),
            str(tmp_path / "build"),
            str(tmp_path / "none"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"there is no folder {tmp_path / 'none'}" in done.stderr
