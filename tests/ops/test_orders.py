"""Scan orders of the paper's section 4.4, spelt out."""

from __future__ import annotations

import pytest

from vmexport.ops.schema import ScanOrder, visiting_order


@pytest.mark.parametrize(
    ("order", "class_token", "expected"),
    [
        (ScanOrder.FORWARD, 0, [0, 1, 2, 3, 4, 5]),
        (ScanOrder.SPATIOTEMPORAL, 0, [5, 4, 3, 2, 1, 0]),
        (ScanOrder.SPATIAL, 0, [2, 1, 0, 5, 4, 3]),
        (ScanOrder.TEMPORAL, 0, [3, 4, 5, 0, 1, 2]),
        (ScanOrder.FORWARD, 1, [0, 1, 2, 3, 4, 5, 6]),
        (ScanOrder.SPATIOTEMPORAL, 1, [6, 5, 4, 3, 2, 1, 0]),
        (ScanOrder.SPATIAL, 1, [3, 2, 1, 6, 5, 4, 0]),
        (ScanOrder.TEMPORAL, 1, [4, 5, 6, 1, 2, 3, 0]),
    ],
)
def test_two_frames_of_three_tokens(order: ScanOrder, class_token: int, expected: list[int]) -> None:
    assert visiting_order(order, 6 + class_token, 3, class_token) == expected


@pytest.mark.parametrize("order", ScanOrder)
def test_every_token_is_visited_once(order: ScanOrder) -> None:
    for class_token in (0, 1):
        visited = visiting_order(order, 24 + class_token, 4, class_token)
        assert sorted(visited) == list(range(24 + class_token))


def test_one_frame_makes_orders_equal() -> None:
    assert visiting_order(2, 9, 8, 1) == visiting_order(1, 9, 8, 1)
    assert visiting_order(3, 9, 8, 1) == [*range(1, 9), 0]


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown scan order 4"):
        visiting_order(4, 8, 4, 0)
