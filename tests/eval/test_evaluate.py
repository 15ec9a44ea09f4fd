"""Evaluation against counts made by hand, through runners whose answers are known."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled import CLASSES, FRAMES, VIDEOS_OF_A_CLASS
from numpy.typing import NDArray
from typer.testing import CliRunner

from vmexport.cli.main import app
from vmexport.config import Architecture, ModelInfo, Preprocessing
from vmexport.data import open_index
from vmexport.errors import InputError, UsageError
from vmexport.eval import EvaluationReport, EvaluationRequest, evaluate, reordering
from vmexport.eval.plot import orders_chart, plot_confusion, plot_orders, wilson
from vmexport.eval.report import write_results
from vmexport.runtime import Runner

ARCHITECTURE = Architecture(d_model=32, depth=1, frames=FRAMES, size=32, num_classes=3)
SAME = Preprocessing(stride=1, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
VIDEOS = VIDEOS_OF_A_CLASS * len(CLASSES)


class Brightness(Runner):
    """Knows a film's class by the brightness of its first frame, as `write_set` made it."""

    bounded = False

    def __init__(self, labels: tuple[str, ...] = CLASSES, classes: int = 3) -> None:
        super().__init__("a stand-in")
        self._given = ModelInfo(ARCHITECTURE.with_overrides(num_classes=classes), labels, SAME)
        self.seen: list[NDArray[np.float32]] = []
        self.broken = False

    @property
    def description(self) -> str:
        return "a stand-in"

    def _open(self) -> ModelInfo:
        return self._given

    def _close(self) -> None:
        pass

    def _run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen.extend(clips)
        first = 255 * clips[:, :, 0].mean(axis=(1, 2, 3))
        numbers = np.arange(self.info.architecture.num_classes)
        logits = -np.abs(first[:, None] - (30 + 60 * numbers)) / 10
        return np.full_like(logits, np.nan) if self.broken else logits.astype(np.float32)


def run(data: Path, runner: Runner | None = None, **settings: object) -> EvaluationReport:
    with runner or Brightness() as opened:
        return evaluate(opened, data, request=EvaluationRequest(**settings))  # type: ignore[arg-type]


def test_a_model_that_is_always_right(films_of_classes: Path) -> None:
    report = run(films_of_classes, views="2x3")
    assert (report.videos, report.top1, report.top5, report.views) == (VIDEOS, 1.0, 1.0, "2x3")
    assert report.confusion == ((2, 0, 0), (0, 2, 0), (0, 0, 2))
    assert [(one.label, one.videos, one.top1) for one in report.classes] == [
        (name, 2, 1.0) for name in CLASSES
    ]
    assert [(one.label, one.predicted) for one in report.results] == [(c, c) for c in (0, 0, 1, 1, 2, 2)]
    assert all(1 / 3 < one.probability <= 1 for one in report.results)


def test_lists_of_another_split_with_videos_elsewhere(films_of_classes: Path, tmp_path: Path) -> None:
    """HMDB51's three splits: which videos count is said by `fold`, where they lie by `videos`."""
    for fold, marks in ((1, (2, 1)), (2, (2, 2))):
        for name in CLASSES:
            lines = "".join(f"{number}.mp4 {mark}\n" for number, mark in enumerate(marks))
            (tmp_path / f"{name}_test_split{fold}.txt").write_text(lines)
    where: Any = {"split": "test", "videos": films_of_classes / "val"}
    assert run(tmp_path, **where).videos == len(CLASSES)
    assert run(tmp_path, fold=2, **where).videos == VIDEOS


def test_names_decide_where_the_model_counts_otherwise(films_of_classes: Path) -> None:
    """The brightest class is the model's first: it is wrong at both ends, and right in the middle."""
    report = run(films_of_classes, Brightness(("row", "dive", "climb")))
    assert report.top1 == pytest.approx(1 / 3)
    assert report.confusion == ((0, 0, 2), (0, 2, 0), (2, 0, 0))
    assert any("another order" in note for note in report.notes)


def test_a_data_set_may_lack_classes_of_the_model(films_of_classes: Path) -> None:
    report = run(films_of_classes, Brightness((*CLASSES, "swim", "walk", "yell"), 6))
    assert report.top1 == 1.0
    assert (report.classes[4].label, report.classes[4].videos, report.classes[4].top1) == ("walk", 0, None)
    assert any("3 of the model's 6 classes" in note for note in report.notes)


@pytest.mark.parametrize("labels", [("climb", "dive", "swim"), ("Climb", "dive", "row")])
def test_an_unknown_class_is_an_error_that_names_it(films_of_classes: Path, labels: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="does not know every class") as caught:
        run(films_of_classes, Brightness(labels))
    assert set(CLASSES) - set(labels) <= set(caught.value.why.replace(",", "").split())


def test_without_names_the_numbers_of_classes_have_to_agree(films_of_classes: Path) -> None:
    report = run(films_of_classes, Brightness(()))
    assert report.top1 == 1.0
    assert any("matched by number" in note for note in report.notes)
    with pytest.raises(InputError, match="4 outputs, the data 3 classes"):
        run(films_of_classes, Brightness((), 4))


def test_orders_of_frames_reach_the_model(films_of_classes: Path) -> None:
    runner = Brightness()
    report = run(films_of_classes, runner, reorder=("interleaved", "blockwise"))
    assert list(report.reorder) == ["interleaved", "blockwise"]
    natural = [clip for clip in runner.seen if (np.diff(clip.mean(axis=(0, 2, 3))) > 0).all()]
    assert len(natural) == VIDEOS
    for clip, name in zip(runner.seen[:3], ("interleaved", "blockwise", "sequential"), strict=True):
        levels = 255 * clip.mean(axis=(0, 2, 3))
        order = np.round((levels - levels.min()) / 2).astype(int)
        assert list(order) == reordering(name, FRAMES)


def test_workers_change_nothing(films_of_classes: Path) -> None:
    assert run(films_of_classes, workers=2).results == run(films_of_classes).results


def test_a_damaged_video_fails_or_is_skipped_and_reported(films_of_classes: Path, tmp_path: Path) -> None:
    data = shutil.copytree(films_of_classes, tmp_path / "data")
    bad = data / "val" / "dive" / "1.mp4"
    bad.write_bytes(bad.read_bytes()[:300])
    for workers in (0, 1):
        with pytest.raises(InputError, match=r"1\.mp4"):
            run(data, workers=workers)
        report = run(data, skip_bad=True, workers=workers)
        assert (report.videos, report.top1) == (VIDEOS - 1, 1.0)
        assert [one.path for one in report.skipped] == [str(bad)]
        assert report.skipped[0].reason
    for path in data.rglob("*.mp4"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="no video of"):
        run(data, skip_bad=True)


def test_logits_that_are_not_finite_are_an_error(films_of_classes: Path) -> None:
    runner = Brightness()
    runner.broken = True
    with pytest.raises(InputError, match="not finite"):
        run(films_of_classes, runner)


def test_an_unknown_order_or_number_of_workers_is_refused() -> None:
    with pytest.raises(UsageError, match="backwards"):
        EvaluationRequest(reorder=("backwards",))
    with pytest.raises(UsageError, match="workers"):
        EvaluationRequest(workers=-1)


def test_files_of_the_report(films_of_classes: Path, tmp_path: Path) -> None:
    report = run(films_of_classes)
    plot_confusion(report, tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    write_results(report, tmp_path / "videos.csv")
    rows = list(csv.DictReader((tmp_path / "videos.csv").open(encoding="utf-8")))
    assert [row["predicted"] for row in rows] == [name for name in CLASSES for _ in range(2)]
    assert "results" not in report.to_dict()
    with pytest.raises(InputError, match="does not exist"):
        plot_confusion(report, tmp_path / "nowhere" / "confusion.png")


def test_accuracy_by_order_is_drawn_with_its_interval_and_chance(
    films_of_classes: Path, tmp_path: Path
) -> None:
    report = run(films_of_classes, reorder=("interleaved", "sequential"))
    axes: Any = orders_chart(report).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["interleaved", "sequential"]
    assert [bar.get_height() for bar in axes.patches] == [100 * share for share in report.reorder.values()]
    assert "top-1 accuracy, %" in axes.get_ylabel()
    assert f"{report.videos} videos of 3 classes" in axes.get_title()
    assert [line.get_label() for line in axes.get_legend().get_lines()] == ["chance, 33.3 %"]
    plot_orders(report, tmp_path / "orders.png")
    assert (tmp_path / "orders.png").read_bytes().startswith(b"\x89PNG")


def test_wilsons_interval() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    low, high = wilson(1.0, 20)
    assert (low, high) == pytest.approx((0.83887, 1.0), abs=1e-5)
    assert wilson(0.0, 20) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_every_form_of_a_model_has_the_same_accuracy_to_the_sample(
    films_of_classes: Path, tmp_path: Path
) -> None:
    from small import small_model

    from vmexport.export import export_onnx
    from vmexport.runtime import open_runner

    index = open_index(films_of_classes, "val")
    model = small_model(num_classes=3, frames=FRAMES)
    export_onnx(model, tmp_path / "model.onnx", batch="1:2:4")
    export_onnx(model, tmp_path / "half.onnx", batch=1, precision="fp16")
    request = EvaluationRequest(views="2x1", reorder=("interleaved", "sequential"))
    expected = evaluate(model, index, request=request)
    for name, library, atol in (("model", "auto", 1e-5), ("model", "off", 1e-5), ("half", "auto", 5e-3)):
        with open_runner(tmp_path / f"{name}.onnx", library=library) as runner:
            found = evaluate(runner, index, request=request)
        assert [one.predicted for one in found.results] == [one.predicted for one in expected.results]
        for one, other in zip(found.results, expected.results, strict=True):
            assert one.probability == pytest.approx(other.probability, abs=atol)
        assert found.reorder == expected.reorder


def test_the_command(films_of_classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from small import small_model

    from vmexport.model import save_checkpoint

    monkeypatch.chdir(tmp_path)
    save_checkpoint(small_model(num_classes=3, frames=FRAMES), tmp_path / "model.safetensors")
    words = ["eval", "model.safetensors", "--data", str(films_of_classes), "--reorder", "all"]
    done = CliRunner().invoke(app, [*words, "--json", "--confusion", "c.png", "--predictions", "p.csv",
                                        "--chart", "o.png"])  # fmt: skip
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert list(report["reorder"]) == ["interleaved", "pairwise", "blockwise", "sequential"]
    assert report["reorder"]["sequential"] == report["top1"]
    assert (tmp_path / "c.png").is_file()
    assert (tmp_path / "p.csv").is_file()
    assert (tmp_path / "o.png").is_file()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "interleaved" in done.stdout
    done = CliRunner().invoke(app, [*words[:-1], "blockwise"])
    assert "blockwise" in done.stdout
    monkeypatch.setattr("vmexport.eval.evaluation.evaluate", None)  # a bad place is refused before the work
    assert CliRunner().invoke(app, [*words, "--confusion", "none/c.png"]).exit_code == 4
    assert CliRunner().invoke(app, [*words, "--predictions", "."]).exit_code == 4
    assert CliRunner().invoke(app, [*words[:-1], "blockwise", "--chart", "o.png"]).exit_code == 2
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["eval", "model.safetensors", "--data", "nowhere"]).exit_code == 4
    assert CliRunner().invoke(app, [*words[:-1], "backwards"]).exit_code == 2
