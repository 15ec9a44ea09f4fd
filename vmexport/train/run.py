"""`train_model`: from a request to a trained model in a folder."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from vmexport.config.names import WEIGHTS_FILE
from vmexport.config.progress import Progress
from vmexport.config.threads import usable_cores
from vmexport.debris import remove_debris
from vmexport.errors import InputError, UsageError
from vmexport.files import atomic_write, explain_write_error
from vmexport.model.float32 import full_float32
from vmexport.train.clips import Normaliser, worker_died
from vmexport.train.failures import explain
from vmexport.train.find import CONFIG
from vmexport.train.interrupt import Interrupted, StopRequest, listening
from vmexport.train.loop import Loop, Watchers
from vmexport.train.optimiser import make_optimiser
from vmexport.train.plan import Plan, make_plan
from vmexport.train.publish import publish
from vmexport.train.regularise import MovingAverage, attach_drop_path, recompute_activations
from vmexport.train.request import EpochRecord, TrainingRequest, TrainReport, ordered
from vmexport.train.state import FOLDER, Learner, Position, checkpoints, restore
from vmexport.train.step import Stepper

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vmexport.train.request import TrainingOptions

MOST_WORKERS = 8
PRECISION_OF_DEVICE = {"cpu": "fp32", "cuda": "bf16"}


def train_model(
    data: Path | str | None = None,
    *,
    request: TrainingRequest | None = None,
    progress: Progress | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    on_notes: Callable[[tuple[str, ...]], None] | None = None,
    **options: Unpack[TrainingOptions],
) -> TrainReport:
    """Train a model and keep the best one as `model.safetensors` in the run's folder.

    Started by `torchrun` or `accelerate launch` it shares the work with the other processes; the first one
    writes. torch's random state outside is left as it was.

    Args:
        data: a data set in any published format; None: that of `request`, or else the one of this folder.
        request: what to do, made beforehand; None takes the defaults.
        progress: called with what is being done, steps done, and steps in all.
        on_epoch: called with each finished epoch.
        on_notes: called once before the first step, with what was decided.
        **options: fields of `TrainingRequest` that differ, such as `config="synthetic"`.

    Raises:
        UsageError: words that do not fit together, or a folder that holds a run already.
        InputError: data, card, checkpoint or run that cannot be used; unreadable videos; an unwritable place.
        EnvironmentProblem: a package is missing, or a process that reads videos died.
        BuildError: the loss or a gradient is not finite, or the disk is full.
        OutOfMemory: memory ran out.
        Interrupted: a signal asked to stop; the run can be resumed.
    """
    request = ordered(data, request, options)
    devices = [] if not torch.cuda.is_available() else list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices), full_float32(), listening() as stop:
        if request.tensorboard:
            importlib.import_module("torch.utils.tensorboard")  # missing: said before anything is written
        accelerator = _accelerator(request)
        plan = make_plan(request)
        try:
            return _train(plan, accelerator, stop, Watchers(progress, on_epoch), on_notes)
        except Interrupted:
            stop.over = True
            raise
        except KeyboardInterrupt as error:
            stop.over = True
            raise Interrupted(plan.out, _last_step(plan.out)) from error
        except (RuntimeError, MemoryError) as error:
            died = worker_died(error, _workers(request, accelerator))
            if died is not None and stop.asked:
                raise Interrupted(plan.out, _last_step(plan.out)) from error
            raise died or explain(error, plan.settings.recipe, accelerator.num_processes) from error
        finally:
            accelerator.free_memory()


def _train(
    plan: Plan,
    accelerator: Accelerator,
    stop: StopRequest,
    watchers: Watchers,
    on_notes: Callable[[tuple[str, ...]], None] | None,
) -> TrainReport:
    """Set everything up, run, report."""
    began = time.perf_counter()
    plan = _agree_on_folder(plan, accelerator)
    division = plan.division(accelerator.process_index, accelerator.num_processes)
    recipe = plan.settings.recipe
    model = plan.model
    learner = Learner(
        model.to(accelerator.device),
        make_optimiser(model, recipe),
        MovingAverage(model, recipe.ema) if recipe.ema else None,
    )
    position = _restore(plan, learner)
    attach_drop_path(model, recipe.drop_path)
    if recipe.checkpoint_activations:
        recompute_activations(model)
    stepper = Stepper(
        accelerator,
        accelerator.prepare(model),
        learner,
        Normaliser(plan.settings.preprocessing, accelerator.device),
        recipe,
        division,
        _precision(plan.request, accelerator.device),
    )
    if accelerator.is_main_process:
        _open_folder(plan)
    accelerator.wait_for_everyone()
    resumed_at = position.step
    if on_notes is not None and accelerator.is_main_process:
        on_notes((*plan.notes, *_where(plan, resumed_at)))
    loop = Loop(plan, accelerator, learner, stepper, position, _workers(plan.request, accelerator))
    if plan.saved is None:
        loop.checkpoint()
        if accelerator.is_main_process:
            _write_config(plan)
    with _threads(loop.workers, accelerator):
        loop.run(stop, watchers)
    return _report(plan, loop, resumed_at, time.perf_counter() - began)


def _accelerator(request: TrainingRequest) -> Accelerator:
    """Devices and processes.

    Raises:
        UsageError: a GPU was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if request.device == "cuda" and not available:
        raise UsageError("there is no CUDA device", "torch finds none", "--device cpu")
    try:
        return Accelerator(cpu=not available or request.device == "cpu", mixed_precision="no")
    except ValueError as error:
        raise UsageError(
            "the device of training cannot change within one Python process", str(error), "start a new one"
        ) from error


def _precision(request: TrainingRequest, device: torch.device) -> torch.autocast:
    """The context in which the model runs: weights stay float32, projections compute in bf16 where wanted."""
    wanted = request.precision if request.precision != "auto" else PRECISION_OF_DEVICE[device.type]
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted == "bf16")


def _agree_on_folder(plan: Plan, accelerator: Accelerator) -> Plan:
    """All processes take the folder that the first one chose."""
    chosen = [str(plan.out)]
    if accelerator.num_processes > 1:
        broadcast_object_list(chosen)
    return replace(plan, out=Path(chosen[0]))


def _restore(plan: Plan, learner: Learner) -> Position:
    """Put the checkpoint's weights in place; where the run stands."""
    if plan.saved is None:
        return Position()
    restore(learner, plan.saved)
    return plan.saved.progress


def _open_folder(plan: Plan) -> None:
    """Make the run's folder, or clear a resumed one.

    What goes: checkpoints that lie ahead of the one resumed from, and what a killed run left half-written.

    Raises:
        UsageError: it holds a run or a model already.
        InputError: the place is not writable.
    """
    if plan.saved is not None:
        for path in checkpoints(plan.out):
            if path.name > plan.saved.path.name:
                path.unlink()
        for folder in (plan.out, plan.out / FOLDER):
            remove_debris(folder)
        return
    # A run that failed before its first step left nothing but the first checkpoint: it may begin again.
    for path in (plan.out / CONFIG, plan.out / WEIGHTS_FILE, *checkpoints(plan.out)[1:]):
        if path.exists():
            raise UsageError(
                f"{plan.out} holds a run already",
                f"there is {path}; nothing was changed",
                f"go on with it: --resume {plan.out}, or choose another folder: --output DIR",
            )
    try:
        (plan.out / FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(error, plan.out) from error


def _write_config(plan: Plan) -> None:
    """The resolved settings, beside the run; from then on it counts as one."""
    with atomic_write(plan.out / CONFIG) as temporary:
        temporary.write_text(json.dumps(plan.record(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _where(plan: Plan, resumed_at: int) -> tuple[str, ...]:
    """Where the run goes and where it stands."""
    if plan.saved is None:
        return (f"the run's folder is {plan.out}",)
    return (f"{plan.out} goes on from step {resumed_at}",)


def _workers(request: TrainingRequest, accelerator: Accelerator) -> int:
    """Processes that read videos: half the cores where the CPU trains too, else most of them."""
    if request.workers is not None:
        return request.workers
    cores = max(1, usable_cores() // int(accelerator.num_processes))
    on_cpu: bool = accelerator.device.type == "cpu"
    return min(MOST_WORKERS, cores // 2 if on_cpu else max(1, cores - 1))


@contextlib.contextmanager
def _threads(workers: int, accelerator: Accelerator) -> Iterator[None]:
    """On a CPU, leave a core to each process that reads videos: threads that wait for one another lose more.

    Measured on two cores, one of them reading: 51 clips a second with one thread, 11 to 19 with two. Whoever
    sets OMP_NUM_THREADS decides.
    """
    before = torch.get_num_threads()
    if accelerator.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        cores = usable_cores() // int(accelerator.num_processes)
        torch.set_num_threads(max(1, min(before, cores - workers)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _last_step(out: Path) -> int | None:
    """Step of the newest checkpoint, by its name."""
    found = checkpoints(out)
    return int(found[-1].stem.split("-")[1]) if found else None


def _report(plan: Plan, loop: Loop, resumed_at: int, seconds: float) -> TrainReport:
    """What the run came to; the first process also publishes the model.

    Raises:
        InputError: a finished run whose model has gone.
    """
    main = loop.accelerator.is_main_process
    model = plan.out / WEIGHTS_FILE
    if main and not model.is_file():
        raise InputError(f"the run is complete, but {model} has gone", "", "train again: --output DIR")
    published, notes = publish(model, plan.out) if main and plan.request.publish else (None, ())
    return TrainReport(
        out=plan.out,
        model=model,
        published=published,
        epochs=tuple(loop.log.epochs) if loop.log is not None else (),
        best_epoch=loop.progress.best_epoch,
        top1=loop.progress.best_top1,
        steps=loop.progress.step,
        parameters=sum(p.numel() for p in plan.model.parameters()),
        seconds=seconds,
        resumed_at=resumed_at,
        replaced={str(one.path): one.times for one in loop.clips.clips.replaced},
        skipped=loop.skipped,
        notes=plan.notes + notes,
    )
