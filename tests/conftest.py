"""What all tests share: where the conformance data lies, seeded randomness, and few threads."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

# Set before anything imports torch or NumPy's BLAS users: small tensors only lose by more threads.
os.environ.setdefault("OMP_NUM_THREADS", "2")

# A run started in the background inherits an ignored SIGINT, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"no shared/{name} beside the checkout")
    return folder


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """Inputs and outputs of public reference code."""
    return _shared("fixtures")


@pytest.fixture(scope="session")
def videos_dir() -> Path:
    """Real clips."""
    return _shared("videos")


@pytest.fixture(scope="session")
def films_of_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of real films in class folders (`labelled.CLASSES`); not to be changed."""
    from labelled import write_set

    return write_set(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="session")
def root_dir() -> Path:
    """The source tree."""
    return ROOT


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every run."""
    return np.random.default_rng(20240)


@pytest.fixture(scope="session")
def small_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real H.264 file of a few kilobytes; copy it, do not change it."""
    from sets import make_film  # a data set's test needs PyAV, others do not

    return make_film(tmp_path_factory.mktemp("film") / "film.mp4")
