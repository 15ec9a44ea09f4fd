"""How large a network may be: budgets that are checked by its sizes alone, before anything is allocated.

A card, a file's metadata or a run's settings may come from anyone. Each budget lies far above every published
VideoMamba (100 million parameters, some 10^11 multiply-accumulates a clip).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmexport.config.flops import count
from vmexport.errors import UsageError

if TYPE_CHECKING:
    from vmexport.config.architecture import Architecture

LARGEST_NUMBER = 2**31 - 1
"""Of any size that is a whole number: what shapes are made of in every library below."""
MOST_BLOCKS = 1024
MOST_DIRECTIONS = 16
MOST_PARAMETERS = 2**31
"""8.6 GB in float32."""
MOST_VALUES = 2**30
"""Of the largest array that one clip makes on its way; 4.3 GB in float32."""
MOST_MACS = 10**14
"""Multiply-accumulates of one clip."""


def check_budget(a: Architecture) -> None:
    """Refuse a network that no machine is for.

    Args:
        a: sizes that fit together.

    Raises:
        UsageError: with the figure, the budget and what it comes from.
    """
    cost, directions = count(a), len(a.directions)
    clip = a.in_channels * a.frames * a.size**2
    widest = max(2 * a.d_inner, directions * a.d_inner, directions * (a.rank + 2 * a.d_state))
    sizes = f"d_model {a.d_model}, expand {a.expand}, d_state {a.d_state}, depth {a.depth}"
    for what, value, most, origin in (
        ("blocks", a.depth, MOST_BLOCKS, f"depth {a.depth}"),
        ("scan directions", directions, MOST_DIRECTIONS, f"directions has {directions} entries"),
        ("parameters", cost.parameters, MOST_PARAMETERS, f"{sizes}, num_classes {a.num_classes}"),
        ("values in a clip", clip, MOST_VALUES, f"{a.frames} frames of {a.size} x {a.size} pixels"),
        ("values in one array", a.tokens * widest, MOST_VALUES, f"{a.tokens} tokens, {widest} values each"),
        (
            "multiply-accumulates a clip",
            cost.linear_macs + cost.exponentials,
            MOST_MACS,
            f"{a.tokens} tokens, {sizes}",
        ),
    ):
        if value > most:
            raise UsageError(
                f"the model is too large: {value} {what}",
                f"at most {most} are made ({origin})",
                "correct the sizes; vmexport models lists the presets",
            )
