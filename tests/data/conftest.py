"""One film for all tests of data sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from sets import make_film


@pytest.fixture(scope="session")
def small_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real H.264 file of a few kilobytes; copy it, do not change it."""
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4")
