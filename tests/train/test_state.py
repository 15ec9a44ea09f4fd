"""Checkpoints: whole, safe to read, and refused where they do not fit."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from small import noise, small_model

from vmexport.errors import BuildError, InputError
from vmexport.model.checkpoints import save as saving
from vmexport.train import Recipe
from vmexport.train.card import require_same
from vmexport.train.optimiser import make_optimiser
from vmexport.train.regularise import MovingAverage
from vmexport.train.state import Learner, Position, checkpoints, read_state, restore, save_state


def learner(seed: int = 0, steps: int = 0) -> Learner:
    """A small model, its optimiser after some steps, its average."""
    model = small_model(seed).train()
    made = Learner(model, make_optimiser(model, Recipe()), MovingAverage(model, 0.9))
    for step in range(steps):
        model(torch.from_numpy(noise(model.architecture, 2, seed=step))).square().mean().backward()
        made.optimiser.step()
        made.optimiser.zero_grad()
        assert made.average is not None
        made.average.update(model, step)
    return made


def everything(one: Learner) -> list[Any]:
    """Every number that a checkpoint holds."""
    assert one.average is not None
    moments = [
        value
        for parameter in one.model.parameters()
        for _, value in sorted(one.optimiser.state[parameter].items())
    ]
    return [*one.model.state_dict().values(), *one.average.model.state_dict().values(), *moments]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def test_a_restored_learner_goes_on_as_the_saved_one(run: Path) -> None:
    first = learner(steps=2)
    progress = Position(step=2, loss_sum=1 / 3, correct=3, clips=4, best_top1=0.1, best_epoch=1, seconds=0.7)
    path = save_state(first, progress, {"recipe": {"epochs": 3}}, run, keep=2)
    saved = read_state(path)
    assert saved.progress == progress
    assert saved.identity == {"recipe": {"epochs": 3}}
    second = learner(seed=5)
    restore(second, saved)
    for one in (first, second):
        one.model(torch.from_numpy(noise(one.model.architecture, 2, seed=9))).square().mean().backward()
        one.optimiser.step()
    for a, b in zip(everything(first), everything(second), strict=True):
        assert torch.equal(a, b)


def test_only_the_last_ones_are_kept(run: Path) -> None:
    one = learner()
    for step in (9, 10, 11, 100):
        save_state(one, Position(step=step), {}, run, keep=2)
    assert [path.stem for path in checkpoints(run)] == ["step-00000011", "step-00000100"]


def test_files_of_other_names_are_the_users(run: Path) -> None:
    names = ("step-best.safetensors", "step-00000009 copy.safetensors", "step-00000001.safetensors.bak")
    for name in names:
        (run / "checkpoints" / name).write_text("kept")
    for step in (9, 10):
        save_state(learner(), Position(step=step), {}, run, keep=1)
    assert [path.stem for path in checkpoints(run)] == ["step-00000010"]
    assert all((run / "checkpoints" / name).read_text() == "kept" for name in names)


def test_a_full_disk_leaves_the_checkpoints_before(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = learner()
    save_state(one, Position(step=1), {}, run, keep=1)

    def full(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saving, "save_file", full)
    with pytest.raises(BuildError, match="could not write") as caught:
        save_state(one, Position(step=2), {}, run, keep=1)
    assert "disk is full" in caught.value.why
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000001.safetensors"]
    assert read_state(checkpoints(run)[0]).progress.step == 1


def test_a_damaged_checkpoint_is_named(run: Path) -> None:
    path = save_state(learner(), Position(step=1), {}, run, keep=1)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"step-00000001.safetensors is damaged"):
        read_state(path)


def test_a_model_is_no_checkpoint(tmp_path: Path) -> None:
    model = small_model()
    saving.save_checkpoint(model, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="no checkpoint of a training run") as caught:
        read_state(tmp_path / "model.safetensors")
    assert "--init" in caught.value.fix


def test_a_checkpoint_without_a_tensor_does_not_fit(run: Path) -> None:
    saved = read_state(save_state(learner(steps=1), Position(step=1), {}, run, keep=1))
    tensors = {
        name: value for name, value in saved.tensors.items() if name != "optimiser/exp_avg/head.weight"
    }
    with pytest.raises(InputError, match="does not fit"):
        restore(learner(), type(saved)(saved.path, tensors, saved.progress, saved.identity))


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors", metadata={"vmexport.training": "[1]"})
    with pytest.raises(InputError, match="damaged"):
        read_state(tmp_path / "x.safetensors")


def test_every_differing_setting_is_named() -> None:
    before = {"recipe": {"epochs": 3, "ema": 0.0}, "architecture": {"d_model": 8}}
    after = {"recipe": {"epochs": 4, "ema": 0.0}, "architecture": {"d_model": 16}}
    require_same(before, before, "runs/a")
    with pytest.raises(InputError, match="runs/a cannot be resumed") as caught:
        require_same(before, after, "runs/a")
    assert caught.value.why == "recipe.epochs was 3, now 4; architecture.d_model was 8, now 16"
