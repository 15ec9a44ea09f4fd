"""What `make wheel` leaves in dist/: one wheel for every Python of its platform, and a source archive."""

from __future__ import annotations

import platform
import tarfile
import zipfile
from pathlib import Path

from environments import ROOT


def test_one_wheel_for_every_python(wheel: Path) -> None:
    assert wheel.name.startswith("vmexport-0.1.0-py3-none-manylinux_2_")
    assert wheel.name.endswith(f"_{platform.machine()}.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("libvmexport_scan.so", "libvmexport_ort.so"):
        assert f"vmexport/_native/{name}" in names
    assert not [name for name in names if name.endswith(".pyc") or "/tests/" in name]
    assert not [name for name in names if ".libs/" in name], "a library from outside the policy was copied in"


def test_the_source_archive_holds_all_that_is_built_and_no_build() -> None:
    (archive,) = (ROOT / "dist").glob("vmexport-*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {member.name.partition("/")[2] for member in tar.getmembers()}
    assert {"plugins/CMakeLists.txt", "models/synthetic.toml", "vmexport/extras.py", "LICENSE"} <= names
    built = (".so", ".pyc", ".whl", ".onnx", ".engine", ".safetensors")
    assert not [name for name in names if name.endswith(built) or name.startswith(("build/", ".venv/"))]
