from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import write_demo_clip
from numpy.typing import NDArray
from small import small_model

from vmexport.config import Architecture, BatchProfile, ModelInfo
from vmexport.errors import ExitCode, InputError, UsageError
from vmexport.runtime import Runner
from vmexport.runtime.predict import predict, run_in_batches, softmax
from vmexport.video import load_clips

ARCHITECTURE = Architecture(d_model=32, depth=1, frames=4, size=32, num_classes=4)
LABELS = ("climb", "dive", "juggle", "row")


class MeanRunner(Runner):
    """Logits of a clip: its mean colour, then minus the first; records the batches that it was given."""

    def __init__(self, profile: str = "1", bounded: bool = True, labels: tuple[str, ...] = LABELS) -> None:
        super().__init__("a stand-in")
        self.batches: list[int] = []
        self.bounded = bounded  # type: ignore[misc]  # a class variable of the real runners
        self.broken = False
        self._given = ModelInfo(ARCHITECTURE, labels, profile=BatchProfile.parse(profile))

    @property
    def description(self) -> str:
        return "a stand-in"

    def _open(self) -> ModelInfo:
        return self._given

    def _close(self) -> None:
        pass

    def _run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        self.batches.append(len(clips))
        means = clips.mean(axis=(2, 3, 4))
        logits = np.concatenate([means, -means[:, :1]], axis=1)
        return np.asarray(np.full_like(logits, np.nan) if self.broken else logits, dtype=np.float32)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_clip(tmp_path_factory.mktemp("films") / "demo.mp4", width=64, height=48, frames=40)


def test_softmax_is_averaged_over_views(video: Path) -> None:
    with MeanRunner("1:4:8") as runner:
        (prediction,) = predict(runner, video, topk=4, views="2x3")
        clips = load_clips(video, ARCHITECTURE, runner.info.preprocessing, "2x3")
        expected = softmax(runner(clips)).mean(axis=0)
    assert (prediction.video, prediction.views, prediction.error) == (str(video), "2x3", None)
    assert [guess.index for guess in prediction.top] == list(np.argsort(-expected))
    for guess in prediction.top:
        assert guess.probability == pytest.approx(expected[guess.index], abs=1e-6)
        assert guess.label == LABELS[guess.index]
    assert sum(guess.probability for guess in prediction.top) == pytest.approx(1)


@pytest.mark.parametrize(
    ("profile", "bounded", "views", "batches"),
    [
        ("1", True, 3, [1, 1, 1]),
        ("1:4:8", True, 6, [6]),
        ("1:2:4", True, 9, [4, 4, 1]),
        ("3:4:4", True, 6, [4, 3]),
        ("4", True, 1, [4]),
        ("4", True, 6, [4, 4]),
        ("1", False, 6, [4, 2]),
    ],
)
def test_batches_stay_inside_the_profile(profile: str, bounded: bool, views: int, batches: list[int]) -> None:
    clips = np.random.default_rng(0).standard_normal((views, 3, 4, 32, 32)).astype(np.float32)
    runner = MeanRunner(profile, bounded)
    with runner:
        logits = run_in_batches(runner, clips)
    assert runner.batches == batches
    np.testing.assert_allclose(logits[:, :3], clips.mean(axis=(2, 3, 4)), rtol=0, atol=1e-5)


def test_topk_beyond_the_classes_gives_all_of_them(video: Path) -> None:
    with MeanRunner(labels=()) as runner:
        (prediction,) = predict(runner, [video], topk=99)
    assert len(prediction.top) == 4
    assert prediction.top[0].label == f"class {prediction.top[0].index}"


def test_a_bad_video_stops_or_is_collected(video: Path, tmp_path: Path) -> None:
    bad = tmp_path / "empty.mp4"
    bad.touch()
    with MeanRunner() as runner:
        with pytest.raises(InputError, match="is empty"):
            predict(runner, [bad, video])
        first, second, third = predict(runner, [video, bad, video], on_error="collect")
    assert first.top == third.top
    assert first.error is None
    assert second.top == ()
    assert second.error is not None
    assert second.error.exit_code == ExitCode.BAD_INPUT


def test_logits_that_are_not_finite_are_an_error_even_when_collecting(video: Path) -> None:
    runner = MeanRunner()
    runner.broken = True
    with runner, pytest.raises(InputError, match="not finite"):
        predict(runner, video, on_error="collect")


def test_wrong_calls(video: Path) -> None:
    with MeanRunner() as runner:
        wrong_settings: list[dict[str, Any]] = [{"topk": 0}, {"views": "3"}, {"on_error": "ignore"}]
        for wrong in wrong_settings:
            with pytest.raises(UsageError):
                predict(runner, video, **wrong)
        with pytest.raises(UsageError):
            predict(runner, [])


def test_softmax_of_wild_logits() -> None:
    probabilities = softmax(np.array([[1e4, -1e4, 0.0], [3e38, 3e38, 0.0]], dtype=np.float32))
    assert probabilities.ravel().tolist() == pytest.approx([1, 0, 0, 0.5, 0.5, 0], abs=1e-12)


def test_a_network_classifies_a_real_clip(real_clip: Path) -> None:
    (prediction,) = predict(small_model(), real_clip, topk=3, views="2x1")
    assert len(prediction.top) == 3
    assert prediction.top[0].probability >= prediction.top[1].probability >= prediction.top[2].probability > 0
