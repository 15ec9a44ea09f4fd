"""The plugin libraries in the registries of NVIDIA's own libraries, which need no GPU for that."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import real_tensorrt

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("library", "majors"),
    [(real_tensorrt.lean_library, (11,)), (real_tensorrt.rtx_library, (11, 10))],
    ids=["lean", "rtx"],
)
def test_a_real_registry_takes_and_finds_the_plugins(
    library: Callable[[], Path], majors: tuple[int, ...]
) -> None:
    """V3 creators register, by themselves and through the registry, are found, and read what they wrote."""
    folder = real_tensorrt.plugins(*majors)
    libraries = [folder / "tensorrt" / f"libvmexport_{name}.so" for name in ("trt_autoreg", "trt")]
    program = folder / "tests" / "vmexport_trt_registry_tests"
    done = subprocess.run(
        [str(program), str(library()), *map(str, libraries)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "loadLibrary: done" in done.stdout
    assert "all registry tests passed, headers of 1" in done.stdout
