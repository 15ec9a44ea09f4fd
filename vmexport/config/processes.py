"""What a Python process that this package starts needs to know."""

from __future__ import annotations

import os
from pathlib import Path


def python_environment() -> dict[str, str]:
    """Environment for a child Python that must find this very package, installed or not."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{known}" if known else root}
