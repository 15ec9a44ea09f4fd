"""Augmentation: the same for all frames of a clip, repeatable, and never a flip where sides matter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vmexport.train import Recipe
from vmexport.train.augment import ERASED, Augmentation


@pytest.fixture(scope="module")
def still() -> Tensor:
    """A clip whose four frames are one picture."""
    picture = torch.randint(
        0, 256, (3, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return picture.repeat(1, 4, 1, 1)


@pytest.fixture(scope="module")
def full() -> Augmentation:
    """Everything on."""
    return Augmentation(Recipe(erasing=1.0), directional=False)


def test_all_frames_are_changed_alike_and_a_seed_says_how(full: Augmentation, still: Tensor) -> None:
    outcomes = set()
    for seed in range(12):
        clip = full(still, seed)
        assert clip.dtype == torch.uint8
        assert clip.shape == still.shape
        assert torch.equal(clip, clip[:, :1].expand_as(clip))
        assert torch.equal(clip, full(still, seed))
        outcomes.add(clip.numpy().tobytes())
    assert len(outcomes) == 12


def test_the_global_random_state_is_left_alone(full: Augmentation, still: Tensor) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    full(still, 1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_flips_mirror_and_never_where_sides_matter(still: Tensor) -> None:
    recipe = Recipe(randaugment_ops=0, erasing=0.0, flip=1.0)
    assert torch.equal(Augmentation(recipe, directional=False)(still, 0), still.flip(-1))
    directional = Augmentation(recipe, directional=True)
    assert directional.idle
    assert torch.equal(directional(still, 0), still)


def test_half_of_the_clips_are_flipped(still: Tensor) -> None:
    flip = Augmentation(Recipe(randaugment_ops=0, erasing=0.0, flip=0.5), directional=False)
    flipped = sum(not torch.equal(flip(still, seed), still) for seed in range(200))
    assert 70 < flipped < 130


def test_erasing_is_one_grey_rectangle(still: Tensor) -> None:
    erase = Augmentation(Recipe(randaugment_ops=0, erasing=1.0, flip=0.0), directional=False)
    clip = erase(still, 5)
    changed = (clip != still).any(dim=0)[0]
    rows, columns = changed.any(dim=1).nonzero().flatten(), changed.any(dim=0).nonzero().flatten()
    part = clip[:, 0, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert set(part.flatten().tolist()) == {round(ERASED * 255)}
    assert 0.01 < changed.float().mean() < 0.5
