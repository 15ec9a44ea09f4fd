"""Random starts and rectangles: within bounds, spread over what is allowed, and the same again."""

from __future__ import annotations

import numpy as np
import pytest

from vmexport.config import Preprocessing
from vmexport.data import Cropping
from vmexport.data.sampling import random_indices, random_rectangle
from vmexport.errors import UsageError


@pytest.mark.parametrize(
    ("total", "frames", "stride"), [(1, 16, 2), (30, 16, 2), (31, 16, 2), (300, 16, 2), (8, 8, 1)]
)
def test_indices_are_within_the_video(total: int, frames: int, stride: int) -> None:
    for seed in range(20):
        indices = random_indices(total, frames, Preprocessing(stride=stride), np.random.default_rng(seed))
        assert indices.shape == (frames,)
        assert indices.min() >= 0
        assert indices.max() < total
        steps = set(np.diff(indices).tolist())
        assert steps <= ({stride} if total > (frames - 1) * stride else {stride, 1, 0})


def test_every_start_occurs_the_last_one_included(rng: np.random.Generator) -> None:
    starts = {int(random_indices(34, 16, Preprocessing(), rng)[0]) for _ in range(200)}
    assert starts == {0, 1, 2, 3}


def test_uniform_training_clips_take_one_frame_of_each_segment() -> None:
    rng, uniform = np.random.default_rng(0), Preprocessing(sampling="uniform")
    clips = np.array([random_indices(81, 8, uniform, rng) for _ in range(500)])
    for segment in range(8):
        assert clips[:, segment].min() == segment * 10
        assert clips[:, segment].max() == segment * 10 + 10
    assert random_indices(1, 4, uniform, rng).tolist() == [0, 0, 0, 0]


def test_a_short_video_repeats_its_last_frame(rng: np.random.Generator) -> None:
    assert random_indices(4, 6, Preprocessing(), rng).tolist() == [0, 2, 3, 3, 3, 3]


@pytest.mark.parametrize(("height", "width"), [(240, 320), (320, 240), (10, 1000), (1, 1)])
def test_rectangles_lie_within_the_picture(height: int, width: int, rng: np.random.Generator) -> None:
    cropping = Cropping(area=(0.2, 0.8), aspect=(0.5, 2.0))
    for _ in range(200):
        part = random_rectangle(height, width, cropping, rng)
        assert part.top >= 0
        assert part.left >= 0
        assert part.top + part.height <= height + 1e-9
        assert part.left + part.width <= width + 1e-9
        assert 0.5 - 1e-9 <= part.width / part.height <= 2 + 1e-9


def test_area_spreads_over_its_range(rng: np.random.Generator) -> None:
    parts = [
        random_rectangle(300, 300, Cropping(area=(0.25, 0.75), aspect=(1.0, 1.0)), rng) for _ in range(500)
    ]
    areas = np.array([part.height * part.width / 300**2 for part in parts])
    assert 0.25 <= areas.min() < 0.3
    assert 0.7 < areas.max() <= 0.75 + 1e-9


def test_the_whole_picture() -> None:
    part = random_rectangle(64, 64, Cropping(area=(1.0, 1.0), aspect=(1.0, 1.0)), np.random.default_rng(0))
    assert (part.top, part.left, part.height, part.width) == (0, 0, 64, 64)


@pytest.mark.parametrize(
    "values",
    [
        {"area": [0.0, 1.0]},
        {"area": [0.9, 0.5]},
        {"area": [0.5, 1.5]},
        {"area": [0.5]},
        {"aspect": [0.0, 1.0]},
        {"aspect": [2.0, 1.0]},
        {"zoom": 3},
    ],
)
def test_settings_out_of_range(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Cropping.from_dict(values)


def test_settings_survive_a_file() -> None:
    cropping = Cropping(area=(0.4, 0.9), aspect=(0.8, 1.25))
    assert Cropping.from_dict(cropping.to_dict()) == cropping
