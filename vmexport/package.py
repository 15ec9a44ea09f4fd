"""What this installation is: its version, and the folders that belong to it."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    VERSION = version("vmexport")
except PackageNotFoundError:  # a source tree that was never installed
    VERSION = "0.0.0+source"


def package_folders() -> tuple[Path, ...]:
    """Folders of the package; an editable installation may have two, its sources and what was built."""
    return tuple(Path(entry) for entry in sys.modules["vmexport"].__path__)
