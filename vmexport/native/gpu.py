"""The GPUs of this machine and the code that suits them, without loading a driver's library."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

DEVICE_TREE = Path("/proc/device-tree/compatible")
TEGRA_RELEASE = Path("/etc/nv_tegra_release")
DEVICES = (Path("/dev/nvidia0"), Path("/dev/nvhost-gpu"), Path("/dev/nvgpu"))
"""What the drivers of plug-in GPUs and of Jetson boards put there."""

CHIPS = {"tegra194": "72", "tegra234": "87", "tegra264": "110"}
"""Compute capability of Jetson chips (Xavier, Orin, Thor) by the name in the device tree."""
RELEASES = ((38, "110"), (36, "87"), (34, "72;87"))
"""Where only the release of Jetson Linux is known: the chips that run it; the first not newer one counts."""


def is_jetson() -> bool:
    """Whether this is a Jetson board."""
    return TEGRA_RELEASE.is_file() or "nvidia,tegra" in _read(DEVICE_TREE)


def compute_capabilities() -> tuple[str, ...]:
    """Compute capabilities of the GPUs here, such as `("87",)`; empty where none is known."""
    found = _of_driver() or _of_jetson()
    return tuple(sorted(set(found), key=int))


def present() -> bool:
    """Whether there is an NVIDIA GPU, even if its compute capability cannot be found out."""
    return any(path.exists() for path in DEVICES) or bool(compute_capabilities())


def covers(built_for: str, capability: str) -> bool:
    """Whether code built for some architectures runs on a GPU.

    Args:
        built_for: as `vmexport_cuda_architectures()` says it, such as "sm_87 sm_90 compute_90".
        capability: of the GPU, such as "89".
    """
    wanted = int(capability)
    for kind, digits, suffix in re.findall(r"\b(sm|compute)_(\d+)([a-z]?)", built_for):
        built = int(digits)
        if suffix and built == wanted:
            return True
        if suffix:  # code for one chip only
            continue
        if kind == "compute" and built <= wanted:  # compiled by the driver
            return True
        if kind == "sm" and built // 10 == wanted // 10 and built <= wanted:
            return True
    return False


def _of_driver() -> Sequence[str]:
    """What the driver's tool says."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    if done.returncode != 0:
        return ()
    lines = (re.fullmatch(r"(\d+)\.(\d)", line.strip()) for line in done.stdout.splitlines())
    return [f"{match[1]}{match[2]}" for match in lines if match]


def _of_jetson() -> Sequence[str]:
    """What a Jetson's device tree, or else its release file, says."""
    tree = _read(DEVICE_TREE)
    chips = [capability for chip, capability in CHIPS.items() if chip in tree]
    if chips:
        return chips
    release = re.search(r"\bR(\d+)\b", _read(TEGRA_RELEASE))
    if release is None:
        return ()
    return next((named.split(";") for first, named in RELEASES if int(release[1]) >= first), [])


def _read(path: Path) -> str:
    """The text of a small system file, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
