"""Running the program in its own process, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from patience import HANG_S

ROOT = Path(__file__).resolve().parents[2]

TINY = (str(Path(__file__).with_name("tiny.toml")),)
"""A card whose model exports in a second or two."""


def environment() -> dict[str, str]:
    """The environment of a child process that finds this source tree."""
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *([known] if known else [])])}


def vmexport(*words: str, folder: Path, blocked: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run `vmexport WORDS` in a folder.

    Args:
        words: the command line.
        folder: working directory.
        blocked: packages that seem not to be installed.
    """
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
sys.argv[0] = "vmexport"
from vmexport.cli.main import run
run()
"""
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
