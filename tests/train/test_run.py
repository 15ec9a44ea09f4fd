"""Whole runs: what they leave behind, what they refuse, and how the next command finds their model."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small import small_model

from vmexport.data import open_index
from vmexport.errors import BuildError, EnvironmentProblem, InputError, UsageError
from vmexport.model import load_checkpoint, resolve_model, save_checkpoint
from vmexport.train import TrainingRequest, step, train_model
from vmexport.train.augment import Augmentation
from vmexport.train.plan import make_plan

Tiny = Callable[..., TrainingRequest]
FP32 = torch.autocast("cpu", enabled=False)


def weights(out: Path) -> dict[str, torch.Tensor]:
    """All tensors of a run's last checkpoint."""
    return load_file(sorted((out / "checkpoints").glob("*.safetensors"))[-1])


def test_a_run_leaves_a_model_and_its_record(tiny: Tiny, tmp_path: Path, motion: Path) -> None:
    report = train_model(request=tiny())
    out = tmp_path / "run"
    assert {path.name for path in out.iterdir()} == {
        "checkpoints", "config.json", "curves.png", "epochs.csv", "log.jsonl", "model.safetensors",
    }  # fmt: skip
    assert [record.epoch for record in report.epochs] == [1, 2, 3]
    assert report.steps == 9
    assert report.best_epoch in (1, 2, 3)
    assert report.top1 == max(record.top1 or 0 for record in report.epochs)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "step"] == list(range(1, 10))
    with (out / "epochs.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == [r.loss for r in report.epochs]
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["recipe"]["epochs"] == 3
    assert config["settings"]["architecture"]["num_classes"] == 2
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_carries_labels_and_preprocessing_and_its_accuracy_is_true(
    tiny: Tiny, tmp_path: Path, motion: Path
) -> None:
    from vmexport.train.validate import tally

    report = train_model(request=tiny())
    model = load_checkpoint(report.model)
    validation = open_index(motion, "val")
    assert model.info.labels == validation.classes
    assert model.info.preprocessing.stride == 2
    again = tally(model, validation, model.info.preprocessing, 2, 0, FP32)
    assert again.correct / again.videos == report.top1


def test_plain_words_chain_in_one_folder(
    tiny: Tiny, motion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(motion, "films")
    report = train_model(request=tiny(data=None, config=None, out=None, publish=True))
    assert report.out == Path("runs/synthetic-1")
    assert report.published == Path("model.safetensors")
    assert any("took the data set films" in note for note in report.notes)
    assert any("took synthetic" in note for note in report.notes)
    model, sentence = resolve_model(None)
    assert model.info.labels == open_index(motion, "val").classes
    assert "model.safetensors" in sentence
    second = train_model(request=tiny({"recipe.epochs": 1}, data=None, config=None, out=None, publish=True))
    assert second.out == Path("runs/synthetic-2")
    assert Path("model.safetensors").read_bytes() == second.model.read_bytes()


def test_a_copy_that_cannot_be_written_costs_nothing(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def full(_target: Path) -> None:
        raise BuildError("could not write", "the disk is full")

    monkeypatch.setattr("vmexport.train.publish.atomic_write", full)
    report = train_model(request=tiny({"recipe.epochs": 1}, publish=True))
    assert report.published is None
    assert report.model.is_file()
    assert "no copy of" in report.notes[-1]


def test_a_model_of_someone_else_is_left_alone(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoint(small_model(), "model.safetensors")
    before = Path("model.safetensors").read_bytes()
    report = train_model(request=tiny({"recipe.epochs": 1}, publish=True))
    assert report.published is None
    assert Path("model.safetensors").read_bytes() == before
    assert any("left alone" in note for note in report.notes)


def test_no_data_set_and_too_many(tmp_path: Path, motion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no data set here"):
        train_model(request=TrainingRequest())
    shutil.copytree(motion, "one")
    shutil.copytree(motion, "two")
    with pytest.raises(UsageError, match="which data set") as caught:
        train_model(request=TrainingRequest())
    assert "one, two" in caught.value.why


def test_a_folder_with_a_run_is_not_written_over(tiny: Tiny, tmp_path: Path) -> None:
    train_model(request=tiny({"recipe.epochs": 1}))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    with pytest.raises(UsageError, match="holds a run already") as caught:
        train_model(request=tiny())
    assert f"--resume {tmp_path / 'run'}" in caught.value.fix
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before


def test_a_full_disk_before_the_first_step_can_be_mended(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as spoiled:
        spoiled.setattr("vmexport.model.checkpoints.save.save_file", full)
        with pytest.raises(BuildError, match="could not write") as caught:
            train_model(request=tiny())
        assert "disk is full" in caught.value.why
    assert train_model(request=tiny({"recipe.epochs": 1})).steps == 3


def test_an_unwritable_place_is_refused_before_training(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="could not write"):
        train_model(request=tiny(out=tmp_path / "file" / "run"))


def test_nan_names_the_step_and_keeps_the_checkpoint(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = step.Stepper._accumulate
    calls = []

    def spoiled(self: step.Stepper, *arguments: Any) -> torch.Tensor:
        calls.append(1)
        sums = genuine(self, *arguments)
        if len(calls) == 5:
            sums[0] = float("nan")
        return sums

    monkeypatch.setattr(step.Stepper, "_accumulate", spoiled)
    with pytest.raises(BuildError, match=r"the loss became nan at step 5 \(epoch 2\)"):
        train_model(request=tiny())
    saved = weights(tmp_path / "run")
    assert all(torch.isfinite(value).all() for value in saved.values())
    assert saved["optimiser/step/head.bias"] == 3


def test_a_broken_gradient_is_named(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = step.Stepper._accumulate

    def spoiled(self: step.Stepper, *arguments: Any) -> torch.Tensor:
        sums = genuine(self, *arguments)
        self.learner.model.head.bias.grad.fill_(float("inf"))  # type: ignore[union-attr]
        return sums

    monkeypatch.setattr(step.Stepper, "_accumulate", spoiled)
    with pytest.raises(BuildError, match=r"the gradient became (nan|inf) at step 1") as caught:
        train_model(request=tiny())
    assert "head.bias" in caught.value.why


def test_unreadable_videos_are_replaced_or_left_out(tiny: Tiny, motion: Path, tmp_path: Path) -> None:
    data = tmp_path / "spoiled"
    shutil.copytree(motion, data)
    bad = open_index(data, "train").samples[0].path, open_index(data, "val").samples[0].path
    for path in bad:
        path.write_bytes(b"no film")
    report = train_model(request=tiny({"recipe.epochs": 1}, data=data))
    assert list(report.replaced) == [str(bad[0])]
    assert report.skipped == 1


def _die(self: Augmentation, clip: torch.Tensor, seed: int) -> torch.Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    return clip


def test_a_process_that_dies_is_explained(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Augmentation, "__call__", _die)
    with pytest.raises(EnvironmentProblem, match="a process that reads videos died") as caught:
        train_model(request=tiny(workers=1))
    assert caught.value.fix.endswith("--workers 0")
    assert (tmp_path / "run" / "checkpoints" / "step-00000000.safetensors").is_file()


def test_the_number_of_classes_is_the_datas(tiny: Tiny) -> None:
    with pytest.raises(UsageError, match="number of classes is the data set's"):
        train_model(request=tiny({"architecture.num_classes": 5}))


def test_few_videos_get_more_epochs_unless_their_number_is_said(tiny: Tiny) -> None:
    request = tiny({"recipe.minimum_steps": 7})
    assert make_plan(request).settings.recipe.epochs == 3
    silent = {name: value for name, value in request.settings.items() if name != "recipe.epochs"}
    plan = make_plan(
        replace(request, settings={**silent, "recipe.batch_size": 12, "recipe.minimum_steps": 99})
    )
    assert plan.settings.recipe.epochs == 99
    assert any("12 videos are few: 99 epochs instead of" in note for note in plan.notes)


def test_uneven_division_says_what_fits(tiny: Tiny) -> None:
    with pytest.raises(UsageError, match="cannot be divided evenly") as caught:
        train_model(request=tiny({"recipe.accumulate": 3}))
    assert caught.value.fix == "--batch-size 3"


def test_accumulation_changes_memory_alone(tiny: Tiny, tmp_path: Path) -> None:
    """Without dropped paths, which every micro-batch draws for itself, only rounding differs."""
    settings = {"recipe.epochs": 1, "recipe.drop_path": 0.0}
    whole = train_model(request=tiny(settings))
    split = train_model(request=tiny({**settings, "recipe.accumulate": 2}, out=tmp_path / "split"))
    assert split.epochs[0].loss == pytest.approx(whole.epochs[0].loss, rel=1e-5)


def test_bf16_and_recomputed_activations(tiny: Tiny) -> None:
    settings = {"recipe.epochs": 1, "recipe.checkpoint_activations": True}
    report = train_model(request=tiny(settings, precision="bf16"))
    assert 0.2 < report.epochs[0].loss < 2
    assert load_checkpoint(report.model).head.weight.dtype == torch.float32


def test_the_callers_random_state_is_left_alone(tiny: Tiny) -> None:
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    train_model(request=tiny({"recipe.epochs": 1}))
    assert torch.equal(before, torch.random.get_rng_state())


def test_pictures_too_small_for_validation_are_refused_at_once(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="smaller than the model's input"):
        train_model(request=tiny({"preprocessing.resize": 8}))
    assert not (tmp_path / "run").exists()
