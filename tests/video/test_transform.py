from __future__ import annotations

import numpy as np
import pytest

from vmexport.config import Architecture, Preprocessing
from vmexport.errors import InputError, UsageError
from vmexport.video.transform import crops, normalise, resized_size, shorter_side


@pytest.mark.parametrize(
    ("height", "width", "side", "expected"),
    [
        (480, 640, 224, (224, 298)),
        (640, 480, 224, (298, 224)),
        (145, 177, 32, (32, 39)),
        (224, 224, 224, (224, 224)),
    ],
)
def test_the_shorter_side_is_fitted(height: int, width: int, side: int, expected: tuple[int, int]) -> None:
    assert resized_size(height, width, side) == expected


def test_a_strip_of_a_picture_is_refused() -> None:
    with pytest.raises(InputError, match="elongated"):
        resized_size(2, 4000, 224)


def test_resize_must_not_be_below_the_model_size() -> None:
    assert shorter_side(Architecture(size=224), Preprocessing()) == 224
    assert shorter_side(Architecture(size=224), Preprocessing(resize=256)) == 256
    with pytest.raises(UsageError, match="smaller"):
        shorter_side(Architecture(size=224), Preprocessing(resize=112))


@pytest.mark.parametrize("upright", [False, True])
def test_three_crops_lie_along_the_longer_side(upright: bool) -> None:
    ramp = np.broadcast_to(np.arange(60, dtype=np.uint8)[None, None, :, None], (2, 20, 60, 3))
    frames = ramp.swapaxes(1, 2) if upright else ramp
    found = list(crops(frames, 20, 3))
    assert [crop.shape for crop in found] == [(2, 20, 20, 3)] * 3
    assert [int(crop[0, 0, 0, 0]) for crop in found] == [0, 20, 40]


def test_the_centre_crop_is_centred_on_both_sides() -> None:
    frames = np.arange(10 * 14, dtype=np.uint8).reshape(1, 10, 14, 1).repeat(3, axis=3)
    (crop,) = crops(frames, 6, 1)
    assert np.array_equal(crop, frames[:, 2:8, 4:10])


def test_normalise_matches_the_formula() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    settings = Preprocessing(mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))
    out = np.full((3, 4, 5, 6), np.nan, dtype=np.float32)
    normalise(frames, settings, out)
    expected = (frames / 255.0 - np.array(settings.mean)) / np.array(settings.std)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out, expected.transpose(3, 0, 1, 2), rtol=0, atol=1e-6)
