"""Clips for training and evaluation: the same whatever reads them, and steadfast where files are damaged."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import HANG_S, wait_until
from sets import KINDS, make_film, put, spoil
from torch.utils.data import DataLoader

from vmexport.config import Architecture, Preprocessing
from vmexport.data import Cropping, EvaluationClips, TrainingClips, VideoIndex, open_index
from vmexport.data.views import AHEAD
from vmexport.errors import InputError
from vmexport.video import load_clips, write_film

SMALL = Architecture(frames=4, size=32)
WORKERS = [0, 2]


@pytest.fixture
def videos(tmp_path: Path, small_film: Path) -> Path:
    """Two classes of six different films each."""
    for number, name in enumerate("ab"):
        for item in range(6):
            put(tmp_path, [f"{name}/{item}.mp4"], make_film(tmp_path / "film.mp4", 10 * number + item))
    (tmp_path / "film.mp4").unlink()
    return tmp_path


def whole(root: Path) -> VideoIndex:
    return open_index(root, "all")


def epoch_of(clips: TrainingClips, epoch: int, workers: int = 0) -> list[tuple[torch.Tensor, int]]:
    """All items of an epoch."""
    clips.set_epoch(epoch)
    loader = DataLoader(clips, batch_size=None, num_workers=workers)
    return [(clip, int(label)) for clip, label in loader]


def test_items_are_uint8_clips_with_labels(videos: Path) -> None:
    clips = TrainingClips(whole(videos), SMALL)
    clip, label = clips[7]
    assert (clip.shape, clip.dtype, label) == ((3, 4, 32, 32), torch.uint8, 1)
    assert clip.is_contiguous()
    batch, labels = next(iter(DataLoader(clips, batch_size=4)))
    assert batch.shape == (4, 3, 4, 32, 32)
    assert labels.tolist() == [0, 0, 0, 0]


def test_only_seed_epoch_and_item_decide(videos: Path) -> None:
    first = epoch_of(TrainingClips(whole(videos), SMALL, seed=3), 5)
    again = epoch_of(TrainingClips(whole(videos), SMALL, seed=3), 5, workers=2)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))
    for other in (TrainingClips(whole(videos), SMALL, seed=4), TrainingClips(whole(videos), SMALL, seed=3)):
        epoch = 5 if other.seed == 4 else 6
        same = [torch.equal(a, b) for (a, _), (b, _) in zip(first, epoch_of(other, epoch), strict=True)]
        assert not any(same)


def test_workers_that_live_on_see_the_next_epoch(videos: Path) -> None:
    clips = TrainingClips(whole(videos), SMALL)
    loader = DataLoader(clips, batch_size=None, num_workers=1, persistent_workers=True)
    epochs = []
    for epoch in (0, 1):
        clips.set_epoch(epoch)
        epochs.append([clip for clip, _ in loader])
    assert not any(torch.equal(a, b) for a, b in zip(*epochs, strict=True))
    assert all(torch.equal(a, b) for a, (b, _) in zip(epochs[1], epoch_of(clips, 1), strict=True))


def test_the_whole_picture_is_what_evaluation_sees(videos: Path) -> None:
    """Without random crops, and with a clip as long as the film, training and test views agree."""
    a = Architecture(frames=12, size=48)
    plain = Preprocessing(stride=1, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    cropping = Cropping(area=(0.75, 0.75), aspect=(1.0, 1.0))  # a square as high as the 48 x 64 picture
    clip, _ = TrainingClips(whole(videos), a, plain, cropping)[0]
    views = load_clips(whole(videos).samples[0].path, a, plain, "1x17")  # every place of the square
    differences = [float(np.abs(clip.numpy() / 255 - view).max()) for view in views]
    assert min(differences) < 1e-6


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_replaced_and_counted(videos: Path, kind: str, workers: int) -> None:
    index = whole(videos)
    clips = TrainingClips(index, SMALL, Preprocessing(stride=1), seed=1)
    before = epoch_of(clips, 0)
    spoil(index.samples[3].path, kind)
    after = epoch_of(clips, 0, workers)
    assert len(after) == 12
    others = [i for i in range(12) if i != 3]
    assert all(torch.equal(after[i][0], before[i][0]) for i in others)
    assert after[3][0].shape == (3, 4, 32, 32)
    assert [(item.path, item.times) for item in clips.replaced] == [(index.samples[3].path, 1)]
    epoch_of(clips, 1, workers)
    assert clips.replaced[0].times >= 2


def test_a_replacement_brings_its_own_label_and_is_the_same_again(videos: Path) -> None:
    index = whole(videos)
    for item in range(6):
        spoil(index.samples[item].path, "text")
    first, again = (epoch_of(TrainingClips(index, SMALL), 0, workers) for workers in WORKERS)
    assert {label for _, label in first} == {1}
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))


def test_nothing_but_damaged_files_is_an_error(videos: Path) -> None:
    index = whole(videos)
    for sample in index.samples:
        spoil(sample.path, "empty")
    with pytest.raises(InputError, match="in a row could not be read") as caught:
        TrainingClips(index, SMALL)[0]
    assert "vmexport data check" in caught.value.fix
    assert "is empty" in caught.value.why


def test_a_strip_of_a_picture_is_refused_not_allocated(tmp_path: Path, small_film: Path) -> None:
    put(tmp_path, ["a/1.mp4", "b/2.mp4"], small_film)
    strip = (np.zeros((2, 8000, 3), dtype=np.uint8) for _ in range(4))
    write_film(tmp_path / "a" / "1.mp4", strip, (2, 8000))
    clips = TrainingClips(whole(tmp_path), SMALL)
    assert clips[0][1] == 1
    assert [item.path.name for item in clips.replaced] == ["1.mp4"]


def test_other_channels_are_refused(videos: Path) -> None:
    with pytest.raises(InputError, match="RGB"):
        TrainingClips(whole(videos), Architecture(in_channels=1))


@pytest.mark.parametrize("workers", WORKERS)
def test_every_view_of_every_video_once(videos: Path, workers: int) -> None:
    index = whole(videos)
    found = list(EvaluationClips(index, SMALL, Preprocessing(stride=1), views="2x3").load(workers))
    assert [video.item for video in found] == list(range(12))
    assert [video.label for video in found] == [sample.label for sample in index.samples]
    for video, sample in zip(found, index.samples, strict=True):
        assert isinstance(video.views, np.ndarray)
        wanted = load_clips(sample.path, SMALL, Preprocessing(stride=1), "2x3")
        assert np.array_equal(video.views, wanted)
        assert not any(np.array_equal(a, b) for a, b in itertools.combinations(video.views, 2))


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_fails_or_is_skipped_but_never_replaced(videos: Path, kind: str, workers: int) -> None:
    index = whole(videos)
    spoil(index.samples[4].path, kind)
    clips = EvaluationClips(index, SMALL, Preprocessing(stride=1), "2x1")
    with pytest.raises(InputError) as caught:
        list(clips.load(workers))
    assert str(index.samples[4].path) in caught.value.what
    assert caught.value.fix
    found = list(clips.load(workers, on_bad="skip"))
    assert [video.item for video in found if video.error is not None] == [4]
    assert [video.item for video in found if video.views is None] == [4]
    assert len(found) == 12


def test_videos_are_decoded_ahead_but_only_a_few(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By all threads at once, in order, and no more after whoever asked has left."""
    loaded: list[Path] = []
    together = threading.Barrier(2)
    index = whole(videos)

    def load(path: Path, *_: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        if path in (index.samples[0].path, index.samples[1].path):
            together.wait(timeout=HANG_S)
        loaded.append(path)
        return np.zeros((1, 1), np.float32)

    monkeypatch.setattr("vmexport.data.views.load_clips", load)
    found = EvaluationClips(index, SMALL).load(workers=2)
    assert [next(found).item, next(found).item] == [0, 1]
    first = [sample.path for sample in index.samples]
    wait_until(lambda: sorted(loaded) == first[: len(loaded)], "a video was left out")
    assert len(loaded) <= 2 + 2 * AHEAD
    found.close()  # type: ignore[attr-defined]
    seen = len(loaded)  # closing waits for what had begun
    time.sleep(0.2)
    assert len(loaded) == seen < len(index)


def test_an_error_that_nobody_foresaw_reaches_the_caller(
    videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        raise MemoryError("bad_alloc")

    monkeypatch.setattr("vmexport.data.views.load_clips", load)
    with pytest.raises(MemoryError, match="bad_alloc"):
        list(EvaluationClips(whole(videos), SMALL).load(workers=2))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
