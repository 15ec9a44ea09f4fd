"""A tiny motion data set of real H.264 films, and runs on it that take a second or two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import TINY

from vmexport.data import SynthSettings, synthesize
from vmexport.train import TrainingRequest


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As in the processes that tests start: several threads sum in another order than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve films to train on, four to validate, two classes."""
    folder = tmp_path_factory.mktemp("motion") / "data"
    settings = SynthSettings(clips=16, classes=2, size=32, frames=8, validation=0.25)
    return synthesize(folder, settings).path


@pytest.fixture
def tiny(motion: Path, tmp_path: Path) -> Callable[..., TrainingRequest]:
    """Makes a request for a tiny run in `tmp_path/run`; a mapping changes settings, keywords the rest."""

    def make(settings: dict[str, Any] | None = None, **changes: Any) -> TrainingRequest:
        request = TrainingRequest(
            data=motion,
            config="synthetic",
            out=tmp_path / "run",
            workers=0,
            device="cpu",
            publish=False,
            settings={**TINY, **(settings or {})},
        )
        return replace(request, **changes)

    return make
