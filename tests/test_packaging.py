"""`pip install .` puts kernels, presets and the kernels' sources where the package looks for them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_wheel_holds_kernels_presets_and_sources(root_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("scikit_build_core", reason="the wheel is built by what is installed")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    settings = ["-C", f"build-dir={tmp_path / 'build'}", "-C", "cmake.define.VMEXPORT_ONNXRUNTIME=OFF"]
    done = subprocess.run(
        [*command, str(tmp_path), *settings, str(root_dir)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("vmexport-*.whl")
    packed = zipfile.ZipFile(wheel).infolist()
    names = [file.filename for file in packed]
    presets = {path.name for path in (root_dir / "models").glob("*.toml")}
    assert {Path(name).name for name in names if name.startswith("vmexport/_models/")} == presets
    assert {"vmexport/_native/libvmexport_scan.so", "vmexport/py.typed", "vmexport/cli/main.py"} <= set(names)
    sources = {
        f"vmexport/_plugins/{path.relative_to(root_dir / 'plugins')}"
        for path in (root_dir / "plugins").rglob("*")
        if path.is_file() and "tests" not in path.parts
    }
    assert {name for name in names if name.startswith("vmexport/_plugins/")} == sources
    assert sum(file.compress_size for file in packed if "_plugins" in file.filename) < 300_000
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "build/"))]
    assert len(names) == len(set(names))
