"""The orders of frames by which the paper asks whether a model reads time (section 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vmexport.errors import UsageError


def interleaved(frames: int) -> list[int]:
    """First, last, second, last but one, ...: of eight frames 1 8 2 7 3 6 4 5."""
    return [step // 2 if step % 2 == 0 else frames - 1 - step // 2 for step in range(frames)]


def pairwise(frames: int) -> list[int]:
    """The first pair, then the other pairs from the last one back: of eight frames 1 2 7 8 5 6 3 4.

    Frames of a pair stay together, as a tubelet of two frames needs it. Of an odd number of frames the last
    one is a pair by itself.
    """
    pairs = [list(range(start, min(start + 2, frames))) for start in range(0, frames, 2)]
    return [frame for pair in pairs[:1] + pairs[:0:-1] for frame in pair]


def blockwise(frames: int) -> list[int]:
    """The second half before the first: of eight frames 5 6 7 8 1 2 3 4; an odd one is in the second."""
    return [*range(frames // 2, frames), *range(frames // 2)]


def sequential(frames: int) -> list[int]:
    """The frames as they are."""
    return list(range(frames))


REORDERINGS: Mapping[str, Callable[[int], list[int]]] = {
    "interleaved": interleaved,
    "pairwise": pairwise,
    "blockwise": blockwise,
    "sequential": sequential,
}
"""By name, in the order of the paper's Table 1: the most disturbing one first."""

ALL = "all"


def reordering(name: str, frames: int) -> list[int]:
    """Frame that is shown at each position, counted from 0.

    Args:
        name: one of `REORDERINGS`.
        frames: frames `T` of a clip.

    Returns:
        a permutation of 0 .. T - 1.

    Raises:
        UsageError: an unknown name, or fewer than one frame.
    """
    if name not in REORDERINGS or frames < 1:
        raise UsageError(
            f"there is no order of {frames} frames named {name!r}",
            f"expected one of {', '.join(REORDERINGS)} and at least one frame",
            "--reorder all",
        )
    return REORDERINGS[name](frames)


def parse_reorderings(text: str) -> tuple[str, ...]:
    """Read `all`, one name, or several with commas between; always in the order of the paper's table.

    Raises:
        UsageError: an unknown name.
    """
    names = [word.strip() for word in text.split(",") if word.strip()]
    chosen = set(REORDERINGS) if ALL in names else set(names)
    unknown = chosen - set(REORDERINGS)
    if unknown or not chosen:
        raise UsageError(
            f"unknown frame order: {', '.join(sorted(unknown)) or repr(text)}",
            f"expected {ALL} or some of {', '.join(REORDERINGS)}",
            "--reorder all",
        )
    return tuple(name for name in REORDERINGS if name in chosen)
