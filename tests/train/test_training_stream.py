"""Which clips a step takes: every video once an epoch, the same however work is divided or interrupted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from vmexport.config import Architecture
from vmexport.data import TrainingClips, open_index
from vmexport.errors import InputError
from vmexport.train import Recipe
from vmexport.train.augment import Augmentation
from vmexport.train.clips import AugmentedClips, Division, stream

ARCHITECTURE = Architecture(frames=2, size=16)
PLAIN = Augmentation(Recipe(randaugment_ops=0, erasing=0.0), directional=True)


def flat(division: Division, epoch: int = 0, first: int = 0, seed: int = 0) -> list[list[int]]:
    return list(division.micro_batches(epoch, first, seed))


def test_every_video_comes_once_an_epoch_and_the_last_step_is_filled_up() -> None:
    seen = Counter(item for batch in flat(Division(10, 4)) for item in batch)
    assert sorted(seen) == list(range(10))
    assert sum(seen.values()) == 12
    assert max(seen.values()) == 2


def test_fewer_videos_than_a_step_takes() -> None:
    (batch,) = flat(Division(3, 8))
    assert len(batch) == 8
    assert set(batch) == {0, 1, 2}


def test_epochs_and_seeds_differ() -> None:
    orders = [flat(Division(40, 4), epoch, seed=seed) for epoch in (0, 1) for seed in (0, 1)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])


@pytest.mark.parametrize(("accumulate", "world"), [(1, 2), (2, 2), (1, 4)])
def test_processes_together_see_what_one_sees_with_more_accumulation(accumulate: int, world: int) -> None:
    alone = flat(Division(21, 8, accumulate * world))
    shares = [flat(Division(21, 8, accumulate, rank, world)) for rank in range(world)]
    together = [batch for turn in zip(*shares, strict=True) for batch in turn]
    assert together == alone


def test_an_epoch_goes_on_where_it_stopped() -> None:
    division = Division(30, 6, accumulate=2)
    assert flat(division, 3, first=2) == flat(division, 3)[4:]


@pytest.mark.parametrize("workers", [0, 1])
def test_clips_are_the_same_with_and_without_workers(motion: Path, workers: int) -> None:
    index = open_index(motion, "train")
    clips = AugmentedClips(TrainingClips(index, ARCHITECTURE, seed=4), Augmentation(Recipe(), True))
    batches = list(stream(clips, Division(len(index), 4), epoch=1, first_step=1, workers=workers))
    clips.clips.set_epoch(1)
    want = [clips[item] for batch in flat(Division(len(index), 4), 1, 1, 4) for item in batch]
    got = [(clip, int(label)) for batch in batches for clip, label in zip(*batch, strict=True)]
    for (clip, label), expected in zip(got, want, strict=True):
        assert not isinstance(expected, Exception)
        assert torch.equal(clip, expected[0])
        assert label == expected[1]


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_come_whole_out_of_workers(tmp_path: Path, workers: int) -> None:
    for name in ("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no film")
    clips = AugmentedClips(TrainingClips(open_index(tmp_path, "all"), ARCHITECTURE), PLAIN)
    with pytest.raises(InputError, match="videos in a row could not be read") as caught:
        list(stream(clips, Division(4, 2), 0, 0, workers))
    assert caught.value.fix == f"vmexport data check {tmp_path}"
