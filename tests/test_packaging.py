"""The repository is light; `pip install .` puts everything where the package looks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LARGEST_FILE = 300_000
"""Bytes of a tracked file outside tests/fixtures."""


def test_no_tracked_file_is_large(root_dir: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root_dir, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("these sources are no git checkout")
    tracked = [root_dir / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    files = [
        path for path in tracked if path.is_file() and root_dir / "tests" / "fixtures" not in path.parents
    ]
    assert root_dir / "pyproject.toml" in files
    large = {str(path): path.stat().st_size for path in files if path.stat().st_size > LARGEST_FILE}
    assert not large


@pytest.mark.integration
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
    needed = ("_native/libvmexport_scan.so", "py.typed", "__init__.pyi", "cli/main.py")
    assert {f"vmexport/{name}" for name in needed} <= set(names)
    sources = {
        f"vmexport/_plugins/{path.relative_to(root_dir / 'plugins')}"
        for path in (root_dir / "plugins").rglob("*")
        if path.is_file() and "tests" not in path.parts
    }
    assert {name for name in names if name.startswith("vmexport/_plugins/")} == sources
    assert sum(file.compress_size for file in packed if "_plugins" in file.filename) < 300_000
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "build/"))]
    assert len(names) == len(set(names))
