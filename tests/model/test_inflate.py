"""The ways from an image model to a video model."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from vmexport.errors import UsageError
from vmexport.model.inflate import inflate_patch, stretch_time, video_positions


def test_inflation_keeps_the_answer_on_a_still() -> None:
    image = torch.randn(5, 3, 1, 4, 4)
    picture = torch.randn(1, 3, 1, 4, 4)
    inflated = inflate_patch(image, 3)
    assert inflated.shape == (5, 3, 3, 4, 4)
    torch.testing.assert_close(F.conv3d(picture.repeat(1, 1, 3, 1, 1), inflated), F.conv3d(picture, image))


IMAGE = torch.arange(12.0).reshape(3, 4)


def test_expanding_replicates() -> None:
    assert torch.equal(video_positions(IMAGE, 2), torch.cat((IMAGE, IMAGE)))


def test_interpolate_space_stretches_along_the_tokens() -> None:
    table = video_positions(IMAGE, 2, "interpolate-space")
    assert table.shape == (6, 4)
    torch.testing.assert_close(table[:, 0], torch.tensor([0.0, 1, 3, 5, 7, 8]))


def test_interpolate_dim_cuts_each_stretched_vector() -> None:
    table = video_positions(IMAGE, 2, "interpolate-dim")
    stretched = F.interpolate(IMAGE.unsqueeze(0), size=8, mode="linear")[0]
    assert torch.equal(table[:3], stretched[:, :4])
    assert torch.equal(table[3:], stretched[:, 4:])


def test_random_forgets_the_image() -> None:
    table = video_positions(torch.full((300, 16), 5.0), 2, "random")
    assert table.shape == (600, 16)
    assert table.abs().max() < 0.2


@pytest.mark.parametrize("method", ["expanding", "interpolate-space", "interpolate-dim"])
def test_one_layer_changes_nothing(method: str) -> None:
    torch.testing.assert_close(video_positions(IMAGE, 1, method), IMAGE)


def test_unknown_method() -> None:
    with pytest.raises(UsageError, match="expected one of random"):
        video_positions(IMAGE, 2, "guess")


def test_stretching_time() -> None:
    table = torch.tensor([0.0, 4.0]).reshape(2, 1, 1).expand(2, 3, 2)
    torch.testing.assert_close(stretch_time(table, 4)[:, 0, 0], torch.tensor([0.0, 1, 3, 4]))
    assert torch.equal(stretch_time(table, 2), table)
