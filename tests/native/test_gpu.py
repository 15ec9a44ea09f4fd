"""Which GPUs are here, and which code runs on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmexport.native import gpu


@pytest.fixture(autouse=True)
def _no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, whatever this one is."""
    monkeypatch.setattr(gpu, "DEVICE_TREE", tmp_path / "compatible")
    monkeypatch.setattr(gpu, "TEGRA_RELEASE", tmp_path / "nv_tegra_release")
    monkeypatch.setattr(gpu, "DEVICES", (tmp_path / "nvidia0",))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("vmexport.native.gpu.shutil.which", lambda name: _tool(tmp_path / name))


def _tool(path: Path) -> str | None:
    return str(path) if path.exists() else None


def nvidia_smi(folder: Path, script: str) -> None:
    """A driver's tool."""
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_no_gpu(tmp_path: Path) -> None:
    assert gpu.compute_capabilities() == ()
    assert not gpu.present()
    assert not gpu.is_jetson()


def test_a_device_whose_kind_nobody_tells_is_a_gpu(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    assert gpu.present()
    assert gpu.compute_capabilities() == ()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("printf '9.0\\n8.9\\n9.0\\n'", ("89", "90")),
        ("echo 12.0", ("120",)),
        ("echo '[N/A]'", ()),
        ("echo 'NVIDIA-SMI has failed'; exit 9", ()),
        ("echo 9.0; exit 9", ()),
    ],
)
def test_the_drivers_tool(tmp_path: Path, script: str, expected: tuple[str, ...]) -> None:
    nvidia_smi(tmp_path, script)
    assert gpu.compute_capabilities() == expected


@pytest.mark.parametrize(
    ("tree", "release", "expected"),
    [
        ("nvidia,p3768-0000\0nvidia,tegra234\0", "# R36 (release), REVISION: 4.3", ("87",)),
        ("nvidia,tegra264\0", "", ("110",)),
        ("", "# R35 (release), REVISION: 4.1, GCID: 33958178", ("72", "87")),
        ("", "# R36 (release), REVISION: 4.3", ("87",)),
        ("", "# R38 (release)", ("110",)),
        ("", "# R32 (release)", ()),
        ("raspberrypi,5\0", "", ()),
    ],
)
def test_jetsons(tmp_path: Path, tree: str, release: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "compatible").write_text(tree)
    if release:
        (tmp_path / "nv_tegra_release").write_text(release)
    assert gpu.compute_capabilities() == expected
    assert gpu.is_jetson() == bool(release or "tegra" in tree)


@pytest.mark.parametrize(
    ("built", "capability", "runs"),
    [
        ("sm_87 sm_90 compute_90", "87", True),
        ("sm_87 sm_90 compute_90", "89", True),
        ("sm_87", "86", False),
        ("sm_87 sm_90 compute_90", "86", False),
        ("sm_87 sm_90 compute_90", "120", True),
        ("sm_87 sm_90", "120", False),
        ("sm_90a", "90", True),
        ("sm_90a", "91", False),
        ("sm_100", "103", True),
        ("compute_75", "75", True),
        ("compute_75", "72", False),
        ("", "87", False),
    ],
)
def test_which_code_runs_where(built: str, capability: str, runs: bool) -> None:
    assert gpu.covers(built, capability) is runs
