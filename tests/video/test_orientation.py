from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from films import film
from numpy.typing import NDArray

from vmexport.video import probe, read_frames
from vmexport.video.orientation import Orientation


def corners(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Four quadrants of four grey levels: 40 top left, 100 top right, 160 bottom left, 220 bottom right."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = 40, 100
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = 160, 220
    return picture


def levels(picture: NDArray[np.uint8]) -> list[list[int]]:
    """Grey levels of the four quadrants, rounded to tens."""
    height, width = picture.shape[:2]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return [[round(int(picture[row, column, 0]) / 20) * 20 for column in columns] for row in rows]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["turned.mp4", "turned.mkv"])
def test_the_display_matrix_is_applied(tmp_path: Path, degrees: int, name: str) -> None:
    path = film(tmp_path / name, [corners()] * 3, turn=(degrees, False, False))
    info = probe(path)
    expected = np.rot90(corners(), degrees // 90)  # FFmpeg counts anticlockwise, as numpy does
    assert (info.height, info.width) == expected.shape[:2]
    assert info.rotation == -degrees % 360
    (picture,) = read_frames(path, [1])
    assert levels(picture) == levels(expected)


def test_mirrored_pictures_are_turned_back(tmp_path: Path) -> None:
    path = film(tmp_path / "mirror.mp4", [corners()] * 3, turn=(0, True, False))
    (picture,) = read_frames(path, [0])
    assert levels(picture) == levels(corners()[:, ::-1])
    assert probe(path).orientation.mirrored


def test_a_slanted_angle_goes_to_the_nearest_right_angle(tmp_path: Path) -> None:
    path = film(tmp_path / "slanted.mp4", [corners()] * 3, turn=(80, False, False))
    assert levels(read_frames(path, [0])[0]) == levels(np.rot90(corners()))


def test_resizing_happens_in_display_orientation(tmp_path: Path) -> None:
    path = film(tmp_path / "turned.mp4", [corners()] * 3, turn=(90, False, False))
    (picture,) = read_frames(path, [0], size=(40, 30))
    assert picture.shape == (40, 30, 3)
    assert levels(picture) == levels(np.rot90(corners()))


def test_all_eight_ways_are_described() -> None:
    seen = set()
    for transpose, flip_x, flip_y in product((False, True), repeat=3):
        way = Orientation(transpose, flip_x, flip_y)
        picture = corners()
        unmirrored = picture[:, ::-1] if way.mirrored else picture
        assert np.array_equal(np.rot90(unmirrored, -way.rotation // 90), way.apply(picture))
        assert way.apply(picture).shape[:2] == way.size(48, 64)
        seen.add((way.rotation, way.mirrored))
    assert len(seen) == 8
