"""Errors of libraries that end a run, in the user's words."""

from __future__ import annotations

import pytest
import torch

from vmexport.errors import EnvironmentProblem, OutOfMemory
from vmexport.train import Recipe
from vmexport.train.failures import explain


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory(error: Exception) -> None:
    told = explain(error, Recipe(accumulate=2), 1)
    assert isinstance(told, OutOfMemory)
    assert "--accumulate 4 --set recipe.checkpoint_activations=true" in told.fix
    thrifty = explain(error, Recipe(checkpoint_activations=True), 1)
    assert isinstance(thrifty, OutOfMemory)
    assert "checkpoint_activations" not in thrifty.fix


def test_another_process_that_ended() -> None:
    error = RuntimeError("[gloo] Connection closed by peer [127.0.0.1]:1234")
    assert isinstance(explain(error, Recipe(), 2), EnvironmentProblem)
    assert explain(error, Recipe(), 1) is error


def test_what_nobody_knows_stays_as_it_is() -> None:
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert explain(error, Recipe(), 2) is error
