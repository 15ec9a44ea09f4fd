"""The adapter between ONNX Runtime's CUDA provider and the kernels, with stand-ins for both sides."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HEADER = "onnxruntime_c_api.h"
SOURCES = (
    "plugins/tests/ort_cuda_device_tests.cpp",
    "plugins/onnxruntime/support.cpp",
    "plugins/scan/shapes.cpp",
)


def headers(root: Path) -> Path:
    """Where a build of this tree, or the system, has ONNX Runtime's headers."""
    places = [*root.glob("build/*/onnxruntime-headers/**"), *Path("/usr/include").glob("onnxruntime/**")]
    found = next((place for place in places if (place / HEADER).is_file()), None)
    if found is None:
        pytest.skip(f"no {HEADER} in build/ or /usr/include (make native fetches it)")
    return found


def test_stream_device_and_statuses_go_through(root_dir: Path, tmp_path: Path) -> None:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    program = tmp_path / "adapter"
    flags = ["-std=c++17", "-g", "-fsanitize=address,undefined", "-isystem", str(headers(root_dir))]
    files = [str(root_dir / source) for source in SOURCES]
    built = subprocess.run(
        [compiler, *flags, *files, "-o", str(program)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all tests of the CUDA provider's adapter passed" in done.stdout


def test_no_cuda_header_outside_of_cuda_files(root_dir: Path) -> None:
    """The adapter stays plain C++: only `.cu` files see CUDA."""
    for path in (root_dir / "plugins/onnxruntime").iterdir():
        if path.suffix in {".h", ".cpp"}:
            assert "cuda_runtime" not in path.read_text(), path.name
