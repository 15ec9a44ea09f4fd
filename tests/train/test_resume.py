"""Interrupted and resumed, by a signal or by force: the same weights, to the bit, as without."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from patience import HANG_S
from program import environment
from safetensors.torch import load_file
from tiny_runs import TINY, WORKER

from vmexport.data import SynthSettings, synthesize
from vmexport.errors import InputError, UsageError
from vmexport.train import Interrupted, TrainingRequest, TrainReport, train_model
from vmexport.train.interrupt import listening
from vmexport.train.plan import make_plan
from vmexport.train.state import checkpoints

Tiny = Callable[..., TrainingRequest]


@pytest.fixture(scope="module")
def whole(motion: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainReport:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    request = TrainingRequest(
        data=motion, config="synthetic", out=out, workers=0, device="cpu", publish=False, settings=TINY
    )
    return train_model(request=request)


def stop_after(steps: int) -> Callable[[str, int, int], None]:
    """What sends this process Ctrl-C once some steps are done."""

    def watch(text: str, done: int, total: int) -> None:
        if done == steps and "validating" not in text:
            os.kill(os.getpid(), signal.SIGINT)

    return watch


def assert_same_end(out: Path, whole: TrainReport) -> None:
    """Weights, average, moments, the kept model and the record of epochs are equal."""
    ends = [load_file(checkpoints(folder)[-1]) for folder in (out, whole.out)]
    assert set(ends[0]) == set(ends[1])
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name
    kept = [load_file(folder / "model.safetensors") for folder in (out, whole.out)]
    assert all(torch.equal(value, kept[1][name]) for name, value in kept[0].items())
    assert record(out) == record(whole.out)


def record(out: Path) -> list[dict[str, Any]]:
    """The log without times."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "clips_per_s")} for line in lines]


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_ctrl_c_then_resume_ends_in_the_same_weights(
    tiny: Tiny, tmp_path: Path, whole: TrainReport, steps: int
) -> None:
    with pytest.raises(Interrupted) as caught:
        train_model(request=tiny(), progress=stop_after(steps))
    assert caught.value.step is not None
    assert steps <= caught.value.step <= steps + 1
    assert caught.value.resume == f"vmexport train --resume {tmp_path / 'run'}"
    report = train_model(resume=tmp_path / "run", workers=0, device="cpu", publish=False)
    assert report.resumed_at == caught.value.step
    assert_same_end(tmp_path / "run", whole)


def test_interrupted_again_and_again(tiny: Tiny, tmp_path: Path, whole: TrainReport) -> None:
    request, interruptions = tiny(), 0
    for steps in (1, 5, 7):
        with pytest.raises(Interrupted):
            train_model(request=request, progress=stop_after(steps))
        interruptions += 1
        request = TrainingRequest(resume="auto", out=tmp_path / "run", workers=0, device="cpu", publish=False)
    train_model(request=request)
    assert interruptions == 3
    assert_same_end(tmp_path / "run", whole)


@pytest.fixture
def killed(motion: Path, tmp_path: Path) -> Path:
    """A run in another process that was killed without warning, at a random moment."""
    out = tmp_path / "run"
    words = [sys.executable, str(WORKER), str(motion), str(out), json.dumps(TINY), str(random.randint(1, 6))]
    done = subprocess.run(
        words, env=environment(), stderr=subprocess.PIPE, text=True, check=False, timeout=HANG_S
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return out


def test_killed_then_resumed_ends_in_the_same_weights(killed: Path, whole: TrainReport) -> None:
    assert checkpoints(killed)
    request = TrainingRequest(resume=killed, workers=0, device="cpu", publish=False, checkpoint_steps=2)
    train_model(request=request)
    assert_same_end(killed, whole)
    assert not list(killed.rglob(".*"))


@pytest.mark.parametrize(
    ("world", "command"),
    [(3, "torchrun --nproc-per-node 2 -m vmexport train"), (5, "-node 4 -m vmexport train")],
)
def test_a_resumed_run_names_a_number_of_processes_that_fits(
    tiny: Tiny, killed: Path, world: int, command: str
) -> None:
    plan = make_plan(tiny(resume=killed, out=None))
    assert plan.settings.recipe.batch_size == 4
    with pytest.raises(UsageError, match="cannot be divided evenly") as caught:
        plan.division(0, world)
    assert command in caught.value.fix
    assert f"--resume {killed}" in caught.value.fix
    assert "--batch-size" not in caught.value.fix


def test_a_second_signal_does_not_wait(tiny: Tiny, tmp_path: Path) -> None:
    def watch(text: str, done: int, total: int) -> None:
        if done == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        train_model(request=tiny(), progress=watch)
    assert caught.value.step == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_impatience_during_validation_costs_no_epoch(tiny: Tiny, tmp_path: Path, whole: TrainReport) -> None:
    def watch(text: str, done: int, total: int) -> None:
        if "validating" in text:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        train_model(request=tiny(), progress=watch)
    assert caught.value.step == 3
    train_model(resume=tmp_path / "run", workers=0, device="cpu", publish=False)
    assert_same_end(tmp_path / "run", whole)


def test_stopped_between_the_record_of_an_epoch_and_its_checkpoint(
    tiny: Tiny, tmp_path: Path, whole: TrainReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vmexport.train.loop.draw_curves", stop)
    with pytest.raises(Interrupted):
        train_model(request=tiny())
    monkeypatch.undo()
    train_model(resume=tmp_path / "run", workers=0, device="cpu", publish=False)
    assert_same_end(tmp_path / "run", whole)


def test_signals_are_heard_no_more_once_the_run_has_stopped() -> None:
    with listening() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        stop.over = True
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_in_a_finaliser_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    class Dying:
        def __init__(self, error: type[BaseException]) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    with listening():
        Dying(KeyboardInterrupt)
        assert capfd.readouterr().err == ""
        Dying(ValueError)
        assert "ValueError" in capfd.readouterr().err


def test_a_run_without_checkpoints_cannot_go_on(tiny: Tiny, tmp_path: Path) -> None:
    train_model(request=tiny({"recipe.epochs": 1}))
    for path in checkpoints(tmp_path / "run"):
        path.unlink()
    with pytest.raises(InputError, match="no checkpoint left"):
        train_model(request=tiny(resume="auto"))


def test_an_earlier_checkpoint_can_be_named(tiny: Tiny, tmp_path: Path, whole: TrainReport) -> None:
    train_model(request=tiny(keep=9))
    chosen = checkpoints(tmp_path / "run")[1]
    report = train_model(resume=chosen, workers=0, device="cpu", publish=False)
    assert report.resumed_at == 3
    assert_same_end(tmp_path / "run", whole)


def test_a_finished_run_has_nothing_left_to_do(tiny: Tiny, tmp_path: Path) -> None:
    first = train_model(request=tiny({"recipe.epochs": 1}))
    again = train_model(resume=tmp_path / "run", workers=0, device="cpu", publish=False)
    assert again.resumed_at == again.steps == first.steps
    assert again.top1 == first.top1


def test_auto_begins_where_there_is_no_run(tiny: Tiny, tmp_path: Path) -> None:
    assert train_model(request=tiny({"recipe.epochs": 1}, resume="auto")).resumed_at == 0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"architecture.d_model": 32}, "architecture.d_model was 16, now 32"),
        ({"recipe.epochs": 4, "recipe.seed": 1}, "recipe.epochs was 1, now 4; recipe.seed was 0, now 1"),
        ({"architecture.frames": 8}, "architecture.frames was 4, now 8"),
    ],
)
def test_other_settings_are_refused_by_name(
    tiny: Tiny, tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    train_model(request=tiny({"recipe.epochs": 1}))
    with pytest.raises(InputError, match="cannot be resumed with other settings") as caught:
        train_model(resume=tmp_path / "run", settings=settings, workers=0, device="cpu")
    assert caught.value.why == named


def test_another_card_and_other_data_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    train_model(request=tiny({"recipe.epochs": 1}))
    other = synthesize(
        tmp_path / "other", SynthSettings(clips=12, classes=2, size=32, frames=8, validation=0.5)
    )
    resumed = TrainingRequest(resume=tmp_path / "run", workers=0, device="cpu")
    with pytest.raises(InputError) as caught:
        train_model(request=replace(resumed, data=other.path))
    assert "data.videos was 12, now 6" in caught.value.why
    with pytest.raises(InputError) as caught:
        train_model(request=replace(resumed, config="kinetics400"))
    assert "architecture.d_model was 16, now 384" in caught.value.why


def test_a_resumed_run_stays_in_its_folder(tiny: Tiny, tmp_path: Path) -> None:
    train_model(request=tiny({"recipe.epochs": 1}))
    with pytest.raises(UsageError, match="stays in its folder"):
        train_model(request=tiny(resume=tmp_path / "run", out=tmp_path / "elsewhere"))


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run to resume"):
        train_model(resume=tmp_path)
    with pytest.raises(InputError, match="no run to resume"):
        train_model(resume=tmp_path / "none")
