"""What ends a run from outside: memory that ran out, a process of the run that has gone."""

from __future__ import annotations

import torch

from vmexport.errors import EnvironmentProblem, OutOfMemory, tells_of_memory
from vmexport.train.recipe import Recipe

ENDED = ("closed by peer", "reset by peer", "broken pipe", "connection refused")
"""What the processes' network says when one of them has gone."""


def explain(error: Exception, recipe: Recipe, processes: int) -> Exception:
    """An error of a library in the user's words, or as it is where nothing is known of it.

    Args:
        error: what was raised while training.
        recipe: of the run.
        processes: that share the run.
    """
    text = str(error).lower()
    if isinstance(error, torch.OutOfMemoryError) or tells_of_memory(error):
        return _out_of_memory(error, recipe)
    if processes > 1 and any(words in text for words in ENDED):
        return EnvironmentProblem(
            "another process of this run ended, so this one ends too",
            "the connection to it was closed",
            "see the other process's own error",
        )
    return error


def _out_of_memory(error: Exception, recipe: Recipe) -> OutOfMemory:
    """The options that need less of it."""
    more = "" if recipe.checkpoint_activations else " --set recipe.checkpoint_activations=true"
    return OutOfMemory(
        "memory ran out while training",
        (str(error).splitlines() or [""])[0][:200],
        f"the same result with less memory: --accumulate {2 * recipe.accumulate}{more}",
    )
