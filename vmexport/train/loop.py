"""The loop over epochs: steps, validation, the best model, checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from accelerate import Accelerator

from vmexport.config.names import WEIGHTS_FILE
from vmexport.config.progress import Progress
from vmexport.data import TrainingClips
from vmexport.errors import BuildError, InputError
from vmexport.model import VideoMamba, save_checkpoint
from vmexport.train.augment import Augmentation
from vmexport.train.clips import AugmentedClips, Division, stream
from vmexport.train.curves import draw_curves
from vmexport.train.interrupt import Interrupted, StopRequest
from vmexport.train.log import RunLog
from vmexport.train.optimiser import learning_rate
from vmexport.train.plan import Plan
from vmexport.train.publish import MARK
from vmexport.train.request import EpochRecord
from vmexport.train.state import Learner, Position, save_state
from vmexport.train.step import Stepper, StepResult
from vmexport.train.validate import Tally, share, tally

EpochCall = Callable[[EpochRecord], None]


@dataclass(frozen=True)
class Watchers:
    """Who is told about a run.

    Attributes:
        progress: called with what is being done, steps done, and steps in all.
        epoch: called with each finished epoch.
    """

    progress: Progress | None = None
    epoch: EpochCall | None = None


class Loop:
    """Trains from where `progress` stands to the end.

    Args:
        plan: the run.
        accelerator: devices and processes.
        learner: model, optimiser, average.
        stepper: takes the steps.
        progress: where the run stands; kept up to date.
        workers: processes that read videos.
    """

    def __init__(
        self,
        plan: Plan,
        accelerator: Accelerator,
        learner: Learner,
        stepper: Stepper,
        progress: Position,
        workers: int,
    ) -> None:
        self.plan, self.accelerator, self.learner, self.stepper = plan, accelerator, learner, stepper
        self.progress, self.workers = progress, workers
        self.recipe = plan.settings.recipe
        self.division: Division = stepper.division
        self.total = self.recipe.epochs * self.division.steps_per_epoch
        self.skipped = 0
        s = plan.settings
        clips = TrainingClips(
            plan.training, s.architecture, s.preprocessing, s.cropping, seed=self.recipe.seed
        )
        self.clips = AugmentedClips(clips, Augmentation(self.recipe, plan.training.directional))
        self.log = self._open_log() if accelerator.is_main_process else None

    def run(self, stop: StopRequest, watchers: Watchers) -> None:
        """Train to the end.

        Raises:
            Interrupted: a signal asked to stop; the last checkpoint is of the last finished step.
            BuildError: loss or gradient is not finite, or the disk is full.
            InputError: videos cannot be read.
        """
        try:
            while self.progress.epoch < self.recipe.epochs:
                self._epoch_steps(stop, watchers)
                self._end_epoch(watchers)
        finally:
            if self.log is not None:
                self.log.close()

    def _epoch_steps(self, stop: StopRequest, watchers: Watchers) -> None:
        """The steps of the present epoch that are left."""
        per_epoch, epoch = self.division.steps_per_epoch, self.progress.epoch
        first = self.progress.step - epoch * per_epoch
        if first == 0:
            self.progress.begin_epoch()
        batches = stream(self.clips, self.division, epoch, first, self.workers)
        for step in range(self.progress.step, (epoch + 1) * per_epoch):
            began = time.perf_counter()
            rate = learning_rate(step, per_epoch, self.recipe)
            result = self.stepper(step, rate, batches, stop.asked)
            self._count(result, rate, time.perf_counter() - began)
            if watchers.progress is not None:
                watchers.progress(
                    f"epoch {epoch + 1} of {self.recipe.epochs}, loss {result.loss:.3f}", step + 1, self.total
                )
            if result.stop:
                self.checkpoint()
                raise Interrupted(self.plan.out, self.progress.step)
            every = self.plan.request.checkpoint_steps
            if every and self.progress.step % every == 0 and self.progress.step % per_epoch:
                self.checkpoint()

    def _count(self, result: StepResult, rate: float, seconds: float) -> None:
        """Add a step to the epoch's sums and to the log."""
        p = self.progress
        p.step += 1
        p.loss_sum, p.correct, p.clips = (
            p.loss_sum + result.loss_sum,
            p.correct + result.correct,
            p.clips + result.clips,
        )
        p.seconds, p.training_seconds = p.seconds + seconds, p.training_seconds + seconds
        if self.log is not None:
            self.log.step(
                p.step,
                {
                    "epoch": (p.step - 1) // self.division.steps_per_epoch + 1,
                    "loss": result.loss,
                    "accuracy": result.correct / result.clips,
                    "rate": rate,
                    "gradient_norm": result.norm,
                    "clips_per_s": result.clips / seconds,
                },
            )

    def _end_epoch(self, watchers: Watchers) -> None:
        """Validate, keep the best model, record, write a checkpoint."""
        p = self.progress
        epoch = p.epoch + 1
        began = time.perf_counter()
        sums = None
        if epoch % self.recipe.validate_every == 0 or epoch == self.recipe.epochs:
            self.checkpoint()  # validation may be long, and what cuts it short must not cost the epoch
            if watchers.progress is not None:
                watchers.progress(f"epoch {epoch} of {self.recipe.epochs}, validating", p.step, self.total)
            sums = self._validate()
        p.seconds += time.perf_counter() - began
        top1 = None if sums is None else sums.correct / sums.videos
        if top1 is not None and top1 > p.best_top1:
            p.best_top1, p.best_epoch = top1, epoch
            if self.accelerator.is_main_process:
                self._keep()
        record = EpochRecord(
            epoch=epoch,
            step=p.step,
            loss=p.loss_sum / p.clips,
            accuracy=p.correct / p.clips,
            rate=learning_rate(p.step - 1, self.division.steps_per_epoch, self.recipe),
            seconds=p.seconds,
            clips_per_s=p.clips / max(p.training_seconds, 1e-9),
            validation_loss=None if sums is None else sums.loss_sum / sums.videos,
            top1=top1,
        )
        if self.log is not None:
            self.log.epoch(record)
            draw_curves(self.log.epochs, self.plan.out, f"{self.plan.name}: {self.plan.training.root}")
        p.epoch = epoch
        self.checkpoint()
        if watchers.epoch is not None:
            watchers.epoch(record)

    @property
    def kept_model(self) -> VideoMamba:
        """The model that is validated and kept: the average, where there is one."""
        return self.learner.model if self.learner.average is None else self.learner.average.model

    def _keep(self) -> None:
        """Write the model, with its labels, preprocessing, and what it came out of."""
        model, p = self.kept_model, self.progress
        extra = {MARK: json.dumps({"folder": str(self.plan.out), "epoch": p.best_epoch, "top1": p.best_top1})}
        model.info = replace(model.info, extra=extra)
        save_checkpoint(model, self.plan.out / WEIGHTS_FILE)

    def checkpoint(self) -> None:
        """Write a checkpoint; one process does, all wait."""
        if self.accelerator.is_main_process:
            save_state(self.learner, self.progress, self.plan.identity, self.plan.out, self.plan.request.keep)
        self.accelerator.wait_for_everyone()

    def _validate(self) -> Tally:
        """Accuracy over all processes.

        Raises:
            InputError: no validation video can be read.
            BuildError: the validation loss is not finite.
        """
        a = self.accelerator
        part = tally(
            self.kept_model,
            share(self.plan.validation, a.process_index, a.num_processes),
            self.plan.settings.preprocessing,
            self.division.micro_batch,
            self.workers,
            self.stepper.precision,
        )
        videos, correct, loss_sum, skipped = a.reduce(part.to_tensor(a.device), "sum").tolist()
        self.skipped = int(skipped)
        if videos == 0:
            raise InputError(
                "no validation video can be read",
                f"all {len(self.plan.validation)} of {self.plan.validation.root} are bad",
                f"vmexport data check {self.plan.validation.root}",
            )
        if not loss_sum < float("inf"):
            raise BuildError(
                f"the validation loss became {loss_sum} at step {self.progress.step}",
                "the weights are not usable",
                f"start again in another folder with a smaller rate: "
                f"--output DIR --lr {self.recipe.learning_rate / 3:.1g}",
            )
        return Tally(int(videos), int(correct), loss_sum, int(skipped))

    def _open_log(self) -> RunLog:
        """The log, cut back to where the run stands."""
        p = self.progress
        return RunLog(self.plan.out, p.step, p.epoch, self.plan.request.tensorboard)
