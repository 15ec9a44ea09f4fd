from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from films import film, number_of

from vmexport.config import Architecture, Preprocessing
from vmexport.errors import InputError, UsageError
from vmexport.video import load_clips

SMALL = Architecture(size=32, frames=16)
PLAIN = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def numbers(clip: np.ndarray) -> list[int]:
    """Frame numbers of a clip (3, T, H, W) that was not shifted by normalisation."""
    return [number_of(picture * 255) for picture in clip.transpose(1, 2, 3, 0)]


def test_the_default_clip_is_16_frames_at_stride_2_in_the_middle(tmp_path: Path) -> None:
    clips = load_clips(film(tmp_path / "a.mp4", 101), SMALL, PLAIN)
    assert clips.shape == (1, 3, 16, 32, 32)
    assert clips.dtype == np.float32
    assert numbers(clips[0]) == list(range(35, 67, 2))


def test_views_are_ordered_clip_by_clip(tmp_path: Path) -> None:
    clips = load_clips(film(tmp_path / "a.mp4", 101), SMALL, PLAIN, views="2x3")
    assert clips.shape == (6, 3, 16, 32, 32)
    assert numbers(clips[1]) == list(range(0, 32, 2))
    assert numbers(clips[4]) == list(range(70, 102, 2))
    left, centre, right = clips[3:, 0, 0].mean(axis=(1, 2))  # frame 70: 10 on its left, 3 on its right
    assert left > centre > right


def test_a_short_video_repeats_its_last_frame(tmp_path: Path) -> None:
    clips = load_clips(film(tmp_path / "a.mp4", 5), SMALL, PLAIN)
    assert numbers(clips[0]) == [0, 2] + [4] * 14


def test_a_picture_serves_image_models_and_video_models(tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 1, codec="png", pixels="rgb24", form="image2")
    image_model = Architecture(size=32, frames=1, tubelet=1)
    assert load_clips(path, image_model).shape == (1, 3, 1, 32, 32)
    assert numbers(load_clips(path, SMALL, PLAIN)[0]) == [0] * 16


def test_normalisation_is_the_models(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 40)
    plain = load_clips(path, SMALL, PLAIN)
    settings = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))
    expected = (plain - np.reshape(settings.mean, (3, 1, 1, 1))) / np.reshape(settings.std, (3, 1, 1, 1))
    np.testing.assert_allclose(load_clips(path, SMALL, settings), expected, rtol=0, atol=1e-5)


def test_resize_leaves_a_margin_around_the_crop(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 40)
    assert load_clips(path, SMALL, Preprocessing(resize=40)).shape == (1, 3, 16, 32, 32)
    with pytest.raises(UsageError, match="smaller"):
        load_clips(path, SMALL, Preprocessing(resize=31))


def test_a_model_of_grey_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="RGB"):
        load_clips(film(tmp_path / "a.mp4", 5), SMALL.with_overrides(in_channels=1))


@pytest.mark.parametrize("name", ["wide", "camera", "broadcast"])
def test_real_clips(clips: dict[str, Path], name: str) -> None:
    views = load_clips(clips[name], Architecture(), Preprocessing(), views="1x3")
    assert views.shape == (3, 3, 16, 224, 224)
    assert np.isfinite(views).all()
    assert 0.1 < views.std() < 3
    assert np.abs(np.diff(views, axis=2)).max() > 0.1  # something moves
