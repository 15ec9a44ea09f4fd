"""Checkpoints of a run: all that its next step depends on, as safetensors and JSON, never as pickle.

Learning rates, the order of videos and everything random follow from the seed and the step, so the step is
all that there is to keep of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from torch import Tensor

from vmexport.documents import fit, parse_json
from vmexport.errors import InputError
from vmexport.model import VideoMamba
from vmexport.model.checkpoints.save import write_tensors
from vmexport.model.checkpoints.tensors import open_tensors
from vmexport.train.regularise import MovingAverage

FOLDER = "checkpoints"
NAME = re.compile(r"step-[0-9]{8,}\.safetensors")
"""Name of a checkpoint; files of other names in their folder are the user's."""
KEY = "vmexport.training"
FORMAT = 1


@dataclass
class Position:
    """Where a run stands.

    Attributes:
        step: optimiser steps done.
        epoch: epochs ended, validation and all; a run may stop between an epoch's last step and its end.
        loss_sum: sum of the losses of the clips of this epoch.
        correct: clips of this epoch that were right.
        clips: clips of this epoch.
        best_top1: best validation so far; below 0: none.
        best_epoch: its epoch.
        seconds: wall time of this epoch so far.
        training_seconds: the part of it that went into steps.
    """

    step: int = 0
    epoch: int = 0
    loss_sum: float = 0.0
    correct: float = 0.0
    clips: float = 0.0
    best_top1: float = -1.0
    best_epoch: int = 0
    seconds: float = 0.0
    training_seconds: float = 0.0

    def begin_epoch(self) -> None:
        """Forget the sums of the last epoch."""
        self.loss_sum = self.correct = self.clips = self.seconds = self.training_seconds = 0.0


class _Record(msgspec.Struct):
    """What a checkpoint says besides its tensors."""

    format: int
    progress: Position
    identity: dict[str, Any]


@dataclass(frozen=True)
class Learner:
    """What a checkpoint is of.

    Attributes:
        model: the model that is trained.
        optimiser: over its parameters.
        average: the moving average, where there is one.
    """

    model: VideoMamba
    optimiser: torch.optim.Optimizer
    average: MovingAverage | None


def save_state(
    learner: Learner, progress: Position, identity: Mapping[str, Any], out: Path, keep: int
) -> Path:
    """Write a checkpoint, whole or not at all, and remove those beyond the last `keep`.

    Args:
        learner: model, optimiser, average.
        progress: where the run stands.
        identity: what a resumption must agree with.
        out: the run's folder.
        keep: checkpoints to keep.

    Raises:
        InputError: the folder is not writable.
        BuildError: the disk is full; earlier checkpoints are untouched.
    """
    record = {"format": FORMAT, "progress": asdict(progress), "identity": dict(identity)}
    path = out / FOLDER / f"step-{progress.step:08d}.safetensors"
    write_tensors(_tensors(learner), path, {KEY: json.dumps(record)})
    for old in checkpoints(out)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(out: Path) -> list[Path]:
    """The checkpoints of a run, the oldest first."""
    return sorted(path for path in (out / FOLDER).glob("step-*") if NAME.fullmatch(path.name))


def _tensors(learner: Learner) -> dict[str, Tensor]:
    """Every tensor of a checkpoint by name."""
    tensors = {f"model/{name}": value for name, value in learner.model.state_dict().items()}
    if learner.average is not None:
        tensors |= {f"average/{name}": value for name, value in learner.average.model.state_dict().items()}
    for name, parameter in learner.model.named_parameters():
        for key, value in learner.optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{key}/{name}"] = value
    return tensors


@dataclass(frozen=True)
class SavedState:
    """A checkpoint, read.

    Attributes:
        path: the file.
        tensors: by name.
        progress: where the run stood.
        identity: what a resumption must agree with.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    progress: Position
    identity: Mapping[str, Any]


def read_state(path: Path) -> SavedState:
    """Read a checkpoint.

    Raises:
        InputError: it is missing, damaged, or no checkpoint of a training run.
    """
    if not path.exists():
        raise InputError(f"there is no checkpoint {path}", "", f"see: ls {path.parent}")
    try:
        with open_tensors(path) as file:
            metadata = dict(file.metadata() or {})
            if KEY not in metadata:
                raise InputError(
                    f"{path} is no checkpoint of a training run",
                    "it holds a model alone",
                    f"start from its weights: vmexport train --init {path}",
                )
            record = fit(parse_json(metadata[KEY]), _Record)
            if record.format != FORMAT:
                raise InputError(
                    f"{path} is of another version", f"format {record.format}, expected {FORMAT}"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return SavedState(path, tensors, record.progress, record.identity)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the checkpoint {path} is damaged",
            str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
            f"name an earlier one: ls {path.parent}",
        ) from error


def restore(learner: Learner, saved: SavedState) -> None:
    """Put a checkpoint's tensors into model, optimiser and average.

    Raises:
        InputError: a tensor is missing or has another shape.
    """
    try:
        learner.model.load_state_dict(_part(saved, "model"), strict=True)
        if learner.average is not None:
            learner.average.model.load_state_dict(_part(saved, "average"), strict=True)
        for key in sorted({name.split("/")[1] for name in saved.tensors if name.startswith("optimiser/")}):
            values = _part(saved, f"optimiser/{key}")
            for name, parameter in learner.model.named_parameters():
                value = values[name]
                on_device = value if key == "step" else value.to(parameter.device)
                if key != "step" and value.shape != parameter.shape:
                    raise RuntimeError(f"{key} of {name} has shape {tuple(value.shape)}")
                learner.optimiser.state[parameter][key] = on_device
    except (RuntimeError, KeyError) as error:
        raise InputError(
            f"the checkpoint {saved.path} does not fit its own settings", str(error).splitlines()[0][:200]
        ) from error


def _part(saved: SavedState, prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    start = prefix + "/"
    return {name[len(start) :]: value for name, value in saved.tensors.items() if name.startswith(start)}
