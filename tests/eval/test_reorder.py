"""The paper's orders of frames (section 5.2), to the letter for eight and as permutations for any number."""

from __future__ import annotations

import pytest

from vmexport.errors import UsageError
from vmexport.eval.reorder import REORDERINGS, parse_reorderings, reordering

PAPER = {
    "interleaved": [1, 8, 2, 7, 3, 6, 4, 5],
    "pairwise": [1, 2, 7, 8, 5, 6, 3, 4],
    "blockwise": [5, 6, 7, 8, 1, 2, 3, 4],
    "sequential": [1, 2, 3, 4, 5, 6, 7, 8],
}
SIXTEEN = {
    "interleaved": [1, 16, 2, 15, 3, 14, 4, 13, 5, 12, 6, 11, 7, 10, 8, 9],
    "pairwise": [1, 2, 15, 16, 13, 14, 11, 12, 9, 10, 7, 8, 5, 6, 3, 4],
    "blockwise": [9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 5, 6, 7, 8],
    "sequential": list(range(1, 17)),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_orders(name: str) -> None:
    assert [frame + 1 for frame in reordering(name, 8)] == PAPER[name]
    assert [frame + 1 for frame in reordering(name, 16)] == SIXTEEN[name]


@pytest.mark.parametrize("name", REORDERINGS)
@pytest.mark.parametrize("frames", [1, 2, 3, 5, 7, 12, 32])
def test_any_number_of_frames_is_permuted(name: str, frames: int) -> None:
    order = reordering(name, frames)
    assert sorted(order) == list(range(frames))
    if frames > 3 and name != "sequential":
        assert order != list(range(frames))


@pytest.mark.parametrize("frames", [4, 10, 32])
def test_pairs_stay_together(frames: int) -> None:
    order = reordering("pairwise", frames)
    pairs = list(zip(order[::2], order[1::2], strict=True))
    assert all(second == first + 1 and first % 2 == 0 for first, second in pairs)


def test_odd_numbers_of_frames() -> None:
    assert reordering("pairwise", 5) == [0, 1, 4, 2, 3]
    assert reordering("blockwise", 5) == [2, 3, 4, 0, 1]
    assert reordering("interleaved", 5) == [0, 4, 1, 3, 2]


def test_words_of_the_command_line() -> None:
    assert parse_reorderings("all") == tuple(REORDERINGS)
    assert parse_reorderings("sequential, interleaved") == ("interleaved", "sequential")
    for wrong in ("", "backwards", "sequential,backwards"):
        with pytest.raises(UsageError, match="interleaved, pairwise, blockwise, sequential"):
            parse_reorderings(wrong)
    with pytest.raises(UsageError, match="at least one frame"):
        reordering("pairwise", 0)
