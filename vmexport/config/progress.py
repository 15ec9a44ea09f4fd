"""How long work tells what it does."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Takes what is being done, and how many of how many steps are (0 of 0: a stage of unknown length begins)."""

Say = Callable[[str], None]
"""Takes a few words at the start of each step, where nobody knows how many there will be."""
