"""`pip install .` puts the kernels and the presets where the package looks for them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_wheel_holds_kernels_and_presets(root_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("scikit_build_core", reason="the wheel is built by what is installed")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    settings = ["-C", f"build-dir={tmp_path / 'build'}", "-C", "cmake.define.VMEXPORT_ONNXRUNTIME=OFF"]
    done = subprocess.run(
        [*command, str(tmp_path), *settings, str(root_dir)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("vmexport-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    presets = {path.name for path in (root_dir / "models").glob("*.toml")}
    assert {Path(name).name for name in names if name.startswith("vmexport/_models/")} == presets
    assert {"vmexport/_native/libvmexport_scan.so", "vmexport/py.typed", "vmexport/cli/main.py"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "build/"))]
    assert len(names) == len(set(names))
