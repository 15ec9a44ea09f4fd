"""What a caller asks of a training run, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from vmexport.config.choices import InitPosition, Layout, TrainingDevice, TrainingPrecision
from vmexport.errors import UsageError


@dataclass(frozen=True)
class TrainingRequest:
    """A training run in the caller's words; everything may be left out.

    Attributes:
        data: a data set in any published format; None: `./data`, or the only data set of this folder.
        config: name or path of a card with a recipe; None: the one made for the data set's format.
        out: the run's folder; None: a new `runs/NAME-NUMBER`.
        init: checkpoint to start from (ours, Vim's, OpenGVLab's); None: random weights.
        init_cls_position: where an image model in `init` has its class token, where the file does not say it:
            "first" (OpenGVLab's) or "middle" (Vim's).
        init_scale: likewise its factor on the sum of the directions (OpenGVLab's: 1.0, Vim's: 0.5).
        init_position: how an image model's positional embedding becomes a video's (paper section 4.2).
        init_weights: "model" or "ema", where `init` holds trained weights and their average; None: trained.
        interpolate_space: `init` may be a model of another size of the picture.
        interpolate_time: `init` may be a model of another number of frames.
        resume: a run's folder or one of its checkpoints to go on from; "auto": the run in `out`, or else the
            newest of `runs/`, if there is one.
        settings: changes to the card, such as `{"recipe.epochs": 5, "architecture.frames": 8}`.
        layout: format of the data set, or "auto".
        videos: folder that the names in the data set's lists start from.
        fold: which of the splits of HMDB51 or UCF101.
        device: "auto", "cpu" or "cuda".
        precision: how projections compute, "fp32", "bf16" or "auto": bf16 on GPUs, fp32 elsewhere.
        workers: processes that read videos; None: by the number of cores; 0: none.
        keep: number of checkpoints that are kept.
        checkpoint_steps: steps between two checkpoints within an epoch; 0: only at its end.
        tensorboard: write event files for TensorBoard too.
        publish: also put the finished model where the other commands look for it: `./model.safetensors`.

    Raises:
        UsageError: a value out of range.
    """

    data: Path | str | None = None
    config: Path | str | None = None
    out: Path | str | None = None
    init: Path | str | None = None
    init_cls_position: str | None = None
    init_scale: float | None = None
    init_position: str = InitPosition.EXPANDING.value
    init_weights: str | None = None
    interpolate_space: bool = False
    interpolate_time: bool = False
    resume: Path | str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    layout: str = Layout.AUTO.value
    videos: Path | str | None = None
    fold: int = 1
    device: str = TrainingDevice.AUTO.value
    precision: str = TrainingPrecision.AUTO.value
    workers: int | None = None
    keep: int = 2
    checkpoint_steps: int = 0
    tensorboard: bool = False
    publish: bool = True

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("device", self.device, TrainingDevice.all()),
            ("precision", self.precision, TrainingPrecision.all()),
        ):
            if value not in allowed:
                raise UsageError(
                    f"unknown {name} {value!r}",
                    f"expected one of {', '.join(allowed)}",
                    f"--{name} {allowed[0]}",
                )
        if self.precision == TrainingPrecision.FP16:
            raise UsageError(
                "training does not compute in fp16",
                "its gradients would underflow, and losses are not scaled here; bf16 has the range of fp32",
                "--precision bf16, and export with: vmexport onnx --precision fp16",
            )
        for name, number, smallest in (
            ("workers", self.workers or 0, 0),
            ("keep", self.keep, 1),
            ("checkpoint_steps", self.checkpoint_steps, 0),
        ):
            if number < smallest:
                raise UsageError(f"{name} must be at least {smallest}", f"got {number}")


class TrainingOptions(TypedDict, total=False):
    """The fields of `TrainingRequest` as keywords of `train_model` and `ablate`, which take `data` before."""

    config: Path | str | None
    out: Path | str | None
    init: Path | str | None
    init_cls_position: str | None
    init_scale: float | None
    init_position: str
    init_weights: str | None
    interpolate_space: bool
    interpolate_time: bool
    resume: Path | str | None
    settings: Mapping[str, Any]
    layout: str
    videos: Path | str | None
    fold: int
    device: str
    precision: str
    workers: int | None
    keep: int
    checkpoint_steps: int
    tensorboard: bool
    publish: bool


def ordered(
    data: Path | str | None, request: TrainingRequest | None, options: TrainingOptions
) -> TrainingRequest:
    """The request that `data` and keywords make of a ready one, or of the defaults."""
    request = replace(request or TrainingRequest(), **options)
    return request if data is None else replace(request, data=data)


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a run.

    Attributes:
        epoch: number, from 1.
        step: optimiser steps done at its end.
        loss: mean training loss, of augmented clips and smoothed labels.
        accuracy: share of augmented training clips that were right as they went by.
        rate: learning rate of its last step.
        seconds: wall time, validation included.
        clips_per_s: training clips a second, validation left out.
        validation_loss: mean cross entropy of the validation videos, one view each; None: not validated.
        top1: share of validation videos that are right; None: not validated.
    """

    epoch: int
    step: int
    loss: float
    accuracy: float
    rate: float
    seconds: float
    clips_per_s: float
    validation_loss: float | None = None
    top1: float | None = None


@dataclass(frozen=True)
class TrainReport:
    """What a run came to.

    Attributes:
        out: the run's folder.
        model: the best model, `model.safetensors` in it.
        published: the copy in the working directory, where one was written.
        epochs: every epoch, those before a resumption included.
        best_epoch: the epoch that the model is of.
        top1: its share of right validation videos, one view each.
        steps: optimiser steps of the whole run.
        parameters: of the model.
        seconds: wall time of this call.
        resumed_at: step that this call went on from; 0 where it began.
        replaced: unreadable training videos by path, with the number of times that another one took their
            place.
        skipped: unreadable validation videos.
        notes: what was decided on the way, in sentences for the user to read.
    """

    out: Path
    model: Path
    published: Path | None
    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    top1: float
    steps: int
    parameters: int
    seconds: float
    resumed_at: int = 0
    replaced: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    notes: tuple[str, ...] = ()
