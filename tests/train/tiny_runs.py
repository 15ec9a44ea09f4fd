"""Settings of runs that take a second or two, and the program that makes one in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TINY: dict[str, Any] = {
    "architecture.d_model": 16,
    "architecture.depth": 2,
    "architecture.frames": 4,
    "architecture.size": 32,
    "recipe.epochs": 3,
    "recipe.batch_size": 4,
    "recipe.drop_path": 0.3,
    "recipe.ema": 0.9,
}
"""Everything that keeps state or draws random numbers is on."""

WORKER = Path(__file__).with_name("worker.py")
