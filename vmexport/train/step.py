"""One optimiser step: gradients of all micro-batches, the guards, the update."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vmexport.errors import BuildError
from vmexport.train.clips import Division, Normaliser, derived_seed
from vmexport.train.optimiser import set_rate
from vmexport.train.recipe import Recipe
from vmexport.train.state import Learner


@dataclass(frozen=True)
class StepResult:
    """One step, summed over all processes.

    Attributes:
        loss_sum: sum of the clips' losses.
        correct: clips that were right.
        clips: clips.
        norm: norm of the gradients before clipping.
        stop: somebody asked to stop, whichever process heard it.
    """

    loss_sum: float
    correct: float
    clips: float
    norm: float
    stop: bool

    @property
    def loss(self) -> float:
        """Mean over the clips."""
        return self.loss_sum / self.clips


class Stepper:
    """Takes optimiser steps.

    Args:
        accelerator: devices and processes.
        wrapped: the model as `accelerator` prepared it.
        learner: the model itself, its optimiser and average.
        normaliser: uint8 clips to the model's input.
        recipe: the numbers.
        division: of a step's clips.
        precision: context in which the model runs.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        wrapped: nn.Module,
        learner: Learner,
        normaliser: Normaliser,
        recipe: Recipe,
        division: Division,
        precision: torch.autocast,
    ) -> None:
        self.accelerator, self.wrapped, self.learner = accelerator, wrapped, learner
        self.normaliser, self.recipe, self.division = normaliser, recipe, division
        self.precision = precision

    def __call__(
        self, step: int, rate: float, batches: Iterator[tuple[Tensor, Tensor]], stop: bool
    ) -> StepResult:
        """Take one step.

        Args:
            step: its number, from 0.
            rate: learning rate.
            batches: micro-batches of this process.
            stop: this process was asked to stop.

        Raises:
            BuildError: the loss or a gradient is not finite; the weights are then still those of before.
        """
        sums = torch.zeros(4, dtype=torch.float64, device=self.normaliser.device)
        turns = self.division.turns()
        for turn in turns:
            clips, labels = next(batches)
            torch.manual_seed(derived_seed(self.recipe.seed, step, turn))  # of dropped paths
            last = turn == turns[-1]
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                sums += self._accumulate(clips, labels, len(turns))
        sums[3] += stop
        loss_sum, correct, clips_seen, stopping = self.accelerator.reduce(sums, "sum").tolist()
        self._require_finite(loss_sum, "the loss", step, rate)
        norm = self._clip()
        self._require_finite(norm, "the gradient", step, rate)
        set_rate(self.learner.optimiser, rate)
        self.learner.optimiser.step()
        self.learner.optimiser.zero_grad(set_to_none=True)
        if self.learner.average is not None:
            self.learner.average.update(self.learner.model, step + 1)
        return StepResult(loss_sum, correct, clips_seen, norm, stopping > 0)

    def _accumulate(self, clips: Tensor, labels: Tensor, parts: int) -> Tensor:
        """Add the gradients of one micro-batch; sum of losses, right clips, clips, 0."""
        labels = labels.to(self.normaliser.device)
        with self.precision:
            logits = self.wrapped(self.normaliser(clips))
        loss = nn.functional.cross_entropy(
            logits.float(), labels, label_smoothing=self.recipe.label_smoothing
        )
        self.accelerator.backward(loss / parts)
        right = (logits.argmax(dim=1) == labels).sum()
        count = torch.tensor(len(labels), device=labels.device)
        return torch.stack([loss.detach().double() * count, right.double(), count.double(), count * 0.0])

    def _clip(self) -> float:
        """Limit the norm of the gradients; the norm before."""
        limit = self.recipe.clip_norm or math.inf
        return float(nn.utils.clip_grad_norm_(self.learner.model.parameters(), limit))

    def _require_finite(self, value: float, name: str, step: int, rate: float) -> None:
        """The guard against NaN."""
        if math.isfinite(value):
            return
        epoch = step // self.division.steps_per_epoch + 1
        parameters = self.learner.model.named_parameters()
        broken = [n for n, p in parameters if p.grad is not None and not bool(torch.isfinite(p.grad).all())]
        where = f"; first gradient that is not finite: {broken[0]}" if broken else ""
        raise BuildError(
            f"{name} became {value} at step {step + 1} (epoch {epoch})",
            f"learning rate {rate:.2g}{where}; the weights of the step before are untouched",
            "start again in another folder (--output DIR) with a smaller rate, "
            f"--lr {self.recipe.learning_rate / 3:.1g}, or longer warm-up, "
            f"--set recipe.warmup_epochs={2 * self.recipe.warmup_epochs + 1:g}",
        )
