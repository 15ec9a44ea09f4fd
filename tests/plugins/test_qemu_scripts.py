"""The tests under qemu where nothing can be installed: a sentence with the command to copy, no failure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import HANG_S

SCRIPTS = Path(__file__).parents[2] / "plugins" / "cmake"
AARCH64, OLD_CPU = "aarch64 test", "old CPU test"


def run_with(test: str, tools: Path, folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """The script of a test with no program but the few named here; `programs` are shell scripts by name."""
    for name in ("dirname", "mkdir", "grep", "tail"):
        (tools / name).symlink_to(shutil.which(name) or name)
    for name, text in programs.items():
        (tools / name.replace("_", "-")).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name.replace("_", "-")).chmod(0o755)
    bash = shutil.which("bash") or "bash"
    script = SCRIPTS / f"{test.lower().replace(' ', '_')}.sh"
    command = [bash, str(script), str(folder)]
    return subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, timeout=HANG_S)


@pytest.mark.skipif(sys.platform != "linux", reason="the scripts run on Linux")
@pytest.mark.parametrize("test", [AARCH64, OLD_CPU])
@pytest.mark.parametrize(
    ("programs", "words"),
    [
        ({"uname": "echo Linux aarch64"}, "this machine is aarch64"),
        ({"uname": "echo Darwin arm64"}, "need Linux"),
        ({"uname": "echo Linux x86_64"}, "on Debian or Ubuntu: sudo apt-get install"),
        ({"uname": "echo Linux x86_64", "apt_get": "exit 1", "id": "echo 1000"}, "run: sudo apt-get install"),
        (
            {
                "uname": "echo Linux x86_64",
                "apt_get": "echo 'E: no network'; exit 100",
                "id": "echo 0",
                "sleep": "true",
            },
            "could not be installed: E: no network",
        ),
    ],
)
def test_skips_with_a_reason(tmp_path: Path, test: str, programs: dict[str, str], words: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    done = run_with(test, tools, tmp_path / "build", **programs)
    assert done.returncode == 0, done.stderr
    assert f"{test}: SKIPPED" in done.stdout
    assert words in done.stdout
    assert done.stderr == ""
