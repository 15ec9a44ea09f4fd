"""What all tests share: where the fixtures lie, seeded randomness, and few threads."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Set before anything imports torch or NumPy's BLAS users: small tensors only lose by more threads, and where
# several workers share the processors, threads that wait for each other lose most of all.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

# A run started in the background inherits an ignored SIGINT, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
OPTIONAL = ("av", "kornia")
"""Packages without which a file of tests is skipped as a whole: what runs on a GPU needs neither."""


MISSING = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
collect_ignore = ["train"] if MISSING else []  # its conftest.py makes films


def pytest_report_header() -> list[str]:
    """What is left out on this machine."""
    left_out = "tests/train and the files of tests that import them are skipped"
    return [f"not installed: {', '.join(MISSING)}; {left_out}"] if MISSING else []


class Module(pytest.Module):
    """A file of tests, skipped where it imports one of `OPTIONAL` that this machine has not."""

    def _getobj(self) -> Any:
        try:
            return super()._getobj()  # type: ignore[no-untyped-call]
        except self.CollectError as error:
            missing = getattr(error.__cause__, "name", None)
            if missing not in MISSING:
                raise
            pytest.skip(f"{missing} is not installed", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """Every file of tests as one of ours."""
    module: Module = Module.from_parent(parent, path=module_path)
    return module


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--moments", type=int, default=2, help="kills of each command in tests/test_kills.py")


@pytest.fixture
def moments(request: pytest.FixtureRequest) -> int:
    """How often a command is killed."""
    return int(request.config.getoption("--moments"))


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """Inputs and outputs of public reference code, and a clip; see its README."""
    return ROOT / "tests" / "fixtures"


@pytest.fixture(scope="session")
def real_clip(fixtures_dir: Path) -> Path:
    """A camera's pictures, encoded elsewhere: 120 frames, 176 x 144; copy it, do not change it."""
    return fixtures_dir / "carphone_pristine.mp4"


@pytest.fixture(scope="session")
def clips(real_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films as cameras and other people's encoders leave them, by name; not to be changed."""
    from films import film, moving

    folder = tmp_path_factory.mktemp("clips")
    return {
        "camera": real_clip,
        "wide": film(
            folder / "wide.mp4",
            (moving(i, 640, 272) for i in range(250)),
            options={"profile": "high", "bf": "3"},
        ),
        "broadcast": film(
            folder / "broadcast.mp4",
            (moving(i, 1280, 720) for i in range(132)),
            sound=True,
            options={"preset": "superfast", "profile": "main", "bf": "0"},
        ),
    }


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


@pytest.fixture
def seeded() -> None:
    """The same tensors and weights of torch in every run and in any order of the tests."""
    import torch

    torch.manual_seed(0)
