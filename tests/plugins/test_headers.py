"""Fetching ONNX Runtime's headers: with no usable source the script fails in one line and leaves nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "source", ["", "deb-src http://example.invalid/debian SUITE main\n", "# deb x SUITE main\n"]
)
def test_no_source_is_an_explained_failure(root_dir: Path, tmp_path: Path, source: str) -> None:
    etc, target = tmp_path / "etc", tmp_path / "headers"
    etc.mkdir()
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    suite = next((x.split("=")[1] for x in release.split("\n") if x.startswith("VERSION_CODENAME=")), "none")
    (etc / "sources.list").write_text(source.replace("SUITE", suite))
    done = subprocess.run(
        ["sh", str(root_dir / "plugins/cmake/fetch_onnxruntime_headers.sh"), str(target)],
        capture_output=True,
        text=True,
        env={**os.environ, "VMEXPORT_APT_ETC": str(etc)},
    )
    assert done.returncode == 1
    last = done.stderr.strip().split("\n")[-1]
    assert "no package source" in last or "not Debian" in last
    assert not target.exists()


def test_no_registry_host_is_written_down(root_dir: Path) -> None:
    """Mirrors and keys come from the system; only the official release archive has an address."""
    names = ("fetch_onnxruntime_headers.sh", "unpack_debian_package.sh", "compile_cuda.sh")
    for name in (*names, "OnnxRuntimeHeaders.cmake"):
        text = (root_dir / "plugins/cmake" / name).read_text()
        addresses = [word for word in text.split() if "://" in word]
        assert all("https://github.com/microsoft/onnxruntime/" in word for word in addresses)
