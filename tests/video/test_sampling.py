from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vmexport.config import Preprocessing
from vmexport.errors import UsageError
from vmexport.video.sampling import Views, clip_indices, crop_starts, dense_indices, parse_views


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1x1", Views(1, 1)), ("2x3", Views(2, 3)), (" 5 X 1", Views(5, 1)), ("4×3", Views(4, 3))],
)
def test_views_are_read(text: str, expected: Views) -> None:
    assert parse_views(text) == expected
    assert parse_views(str(expected)) == expected
    assert parse_views(expected) is expected


@pytest.mark.parametrize(
    "text", [(2, 3), "", "3", "0x1", "1x0", "-1x2", "2x3x4", "axb", "1.5x2", "50x3", "9999x9999", "1x٣"]
)
def test_bad_views_are_refused(text: Any) -> None:
    with pytest.raises(UsageError) as caught:
        parse_views(text)
    assert caught.value.fix


def test_one_clip_lies_in_the_middle() -> None:
    indices = dense_indices(total=100, frames=16, stride=2)
    assert indices.shape == (1, 16)
    assert indices.dtype == np.int64
    assert indices[0, 0] == (100 - 31) // 2
    assert np.all(np.diff(indices[0]) == 2)


def test_several_clips_reach_from_the_first_to_the_last_frame() -> None:
    indices = dense_indices(total=101, frames=16, stride=2, clips=5)
    assert indices[0, 0] == 0
    assert indices[-1, -1] == 100
    assert set(np.diff(indices[:, 0])) <= {17, 18}


@pytest.mark.parametrize("total", [1, 2, 7, 30])
def test_a_short_video_keeps_its_stride_and_repeats_its_last_frame(total: int) -> None:
    (indices,) = dense_indices(total=total, frames=16, stride=2)
    assert list(indices) == [min(2 * step, total - 1) for step in range(16)]


@pytest.mark.parametrize("total", [1, 15, 16, 31, 32, 33, 90_000])
@pytest.mark.parametrize("clips", [1, 2, 3, 10])
@pytest.mark.parametrize(("frames", "stride"), [(1, 1), (16, 1), (16, 2), (8, 30)])
def test_indices_ascend_and_stay_inside(total: int, clips: int, frames: int, stride: int) -> None:
    indices = dense_indices(total, frames, stride, clips)
    assert indices.shape == (clips, frames)
    assert indices.min() >= 0
    assert indices.max() < total
    assert np.all(np.diff(indices, axis=1) >= 0)
    assert np.all(np.diff(indices[:, 0]) >= 0)


def test_the_exact_span_leaves_no_room() -> None:
    assert np.array_equal(dense_indices(31, 16, 2, clips=3), np.tile(np.arange(0, 31, 2), (3, 1)))


@pytest.mark.parametrize("bad", [(0, 16, 2, 1), (10, 0, 2, 1), (10, 16, 0, 1), (10, 16, 2, 0)])
def test_numbers_below_one_are_refused(bad: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        dense_indices(*bad)


def test_crops_are_centred_or_reach_from_end_to_end() -> None:
    assert crop_starts(300, 224, 1) == [38]
    assert crop_starts(300, 224, 3) == [0, 38, 76]
    assert crop_starts(224, 224, 3) == [0, 0, 0]
    with pytest.raises(UsageError, match="does not fit"):
        crop_starts(223, 224, 1)


@pytest.mark.parametrize(
    ("total", "frames", "clips", "expected"),
    [  # by hand: segments of (total - 1) / frames, the middle of each, or thirds of each
        (250, 8, 1, [[15, 46, 77, 108, 139, 171, 202, 233]]),
        (9, 4, 1, [[1, 3, 5, 7]]),
        (13, 4, 2, [[1, 4, 7, 10], [2, 5, 8, 11]]),
        (1, 4, 2, [[0] * 4, [0] * 4]),
        (4, 8, 1, [[0, 0, 1, 1, 2, 2, 2, 3]]),
    ],
)
def test_uniform_clips_span_the_whole_video(
    total: int, frames: int, clips: int, expected: list[list[int]]
) -> None:
    uniform = Preprocessing(sampling="uniform", stride=7)  # the stride has no say
    indices = clip_indices(total, frames, uniform, clips)
    assert indices.dtype == np.int64
    assert indices.tolist() == expected
    assert np.all(np.diff(indices) >= 0)


def test_dense_clips_follow_the_stride() -> None:
    for stride in (1, 2, 5):
        indices = clip_indices(90, 8, Preprocessing(stride=stride), 3)
        assert np.array_equal(indices, dense_indices(90, 8, stride, 3))


@pytest.mark.parametrize("bad", [(0, 8, 1), (8, 0, 1), (8, 8, 0)])
def test_counts_below_one_are_refused_uniformly_too(bad: tuple[int, int, int]) -> None:
    total, frames, clips = bad
    with pytest.raises(UsageError, match="at least 1"):
        clip_indices(total, frames, Preprocessing(sampling="uniform"), clips)
