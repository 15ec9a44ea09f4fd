"""Everything a run needs to know before its first step, decided and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vmexport.data import VideoIndex
from vmexport.errors import UsageError
from vmexport.model import VideoMamba, load_card
from vmexport.train.card import (
    RunSettings,
    card_tables,
    change,
    choose_card,
    identity,
    require_same,
)
from vmexport.train.clips import Division
from vmexport.train.find import new_run, open_data, read_config, resumption
from vmexport.train.request import TrainingRequest
from vmexport.train.start import starting_model, with_architecture
from vmexport.train.state import SavedState, read_state
from vmexport.video.transform import shorter_side


@dataclass(frozen=True)
class Plan:
    """A run, decided.

    Attributes:
        request: the caller's words, filled up.
        name: of the card.
        settings: every number.
        training: videos to train on.
        validation: videos to validate on.
        model: with its initial weights.
        out: the run's folder.
        saved: the checkpoint to go on from.
        notes: what was decided, in sentences.
    """

    request: TrainingRequest
    name: str
    settings: RunSettings
    training: VideoIndex
    validation: VideoIndex
    model: VideoMamba
    out: Path
    saved: SavedState | None
    notes: tuple[str, ...]

    @property
    def identity(self) -> dict[str, Any]:
        """What a resumption must agree with."""
        return identity(self.settings, self.training)

    def division(self, rank: int, world: int) -> Division:
        """How the clips of a step are divided among processes and micro-batches.

        Raises:
            UsageError: they cannot be divided evenly.
        """
        recipe = self.settings.recipe
        share = recipe.accumulate * world
        if recipe.batch_size % share:
            raise UsageError(
                f"a step of {recipe.batch_size} clips cannot be divided evenly",
                f"among {world} processes with {recipe.accumulate} micro-batches each",
                self._even_division(world),
            )
        return Division(len(self.training), recipe.batch_size, recipe.accumulate, rank, world)

    def _even_division(self, world: int) -> str:
        """What to type instead: another batch, or, for a run that goes on with its own, fewer processes."""
        recipe = self.settings.recipe
        share = recipe.accumulate * world
        if self.saved is None:
            return f"--batch-size {max(share, recipe.batch_size // share * share)}"
        fewer = next(n for n in range(world, 0, -1) if recipe.batch_size % (recipe.accumulate * n) == 0)
        launch = f"torchrun --nproc-per-node {fewer} -m vmexport" if fewer > 1 else "vmexport"
        return f"{launch} train --resume {self.out}"

    def record(self) -> dict[str, Any]:
        """The resolved settings, for a file beside the run."""
        said = self.request
        return {
            "card": self.name,
            "request": {
                "data": None if said.data is None else str(said.data),
                "layout": said.layout,
                "videos": None if said.videos is None else str(said.videos),
                "fold": said.fold,
                "init": None if said.init is None else str(said.init),
                "init_cls_position": said.init_cls_position,
                "init_scale": said.init_scale,
                "init_position": said.init_position,
                "init_weights": said.init_weights,
                "interpolate_space": said.interpolate_space,
                "interpolate_time": said.interpolate_time,
            },
            "settings": self.settings.to_dict(),
            "data": {
                "root": str(self.training.root),
                "layout": self.training.layout,
                "classes": list(self.training.classes),
                "training_videos": len(self.training),
                "validation_videos": len(self.validation),
                "directional": self.training.directional,
            },
            "notes": list(self.notes),
        }


def make_plan(request: TrainingRequest) -> Plan:
    """Decide and check everything that can be known before a folder is made or a video is opened.

    Raises:
        UsageError: words that do not fit together, or no data set was named and none is the obvious one.
        InputError: data, card, checkpoint or run that cannot be used, or a resumption with other settings.
    """
    request, checkpoint = resumption(request)
    training, validation, notes = open_data(request)
    if request.data is None:
        request = replace(request, data=training.root)
    tables, name, said = _tables(request, training)
    notes += said
    settings = RunSettings.from_tables(change(tables, _with_classes(request, training)))
    settings, said = _enough_steps(settings, request, len(training))
    notes += said
    if request.resume is not None:
        model, more = _resumed_model(settings, training)
    else:
        model, more = starting_model(request, settings, training.classes)
        settings = with_architecture(settings, model)
    shorter_side(settings.architecture, settings.preprocessing)  # validation would fail only after an epoch
    plan = Plan(
        request,
        name,
        settings,
        training,
        validation,
        model,
        Path(request.out) if request.out is not None else new_run(name),
        None if checkpoint is None else read_state(checkpoint),
        tuple(notes + more),
    )
    if plan.saved is not None:
        require_same(plan.saved.identity, plan.identity, str(plan.out))
    return plan


def _tables(
    request: TrainingRequest, training: VideoIndex
) -> tuple[Mapping[str, Mapping[str, Any]], str, list[str]]:
    """The settings to begin with, their card's name, and what was decided."""
    if request.config is not None:
        card = load_card(request.config)
        said = (
            []
            if card.training
            else [f"the card {card.name} has no recipe: took the paper's for Kinetics-400"]
        )
        return card_tables(card), card.name, said
    if request.resume is not None and request.out is not None:
        saved = read_config(Path(request.out))
        return saved.settings, saved.card, []
    card, sentence = choose_card(training)
    return card_tables(card), card.name, [sentence]


def _with_classes(request: TrainingRequest, training: VideoIndex) -> dict[str, Any]:
    """The caller's changes, and the number of classes, which is the data's.

    Raises:
        UsageError: the caller asked for another number.
    """
    asked = request.settings.get("architecture.num_classes", training.num_classes)
    if asked != training.num_classes:
        raise UsageError(
            "the number of classes is the data set's",
            f"it has {training.num_classes}, asked for {asked}",
            "leave num_classes out",
        )
    return {**request.settings, "architecture.num_classes": training.num_classes}


def _enough_steps(
    settings: RunSettings, request: TrainingRequest, videos: int
) -> tuple[RunSettings, list[str]]:
    """As many epochs as make the recipe's smallest number of steps, and a sentence about it."""
    recipe = settings.recipe
    taken_up = request.resume is not None and request.config is None  # settings of a run: decided once
    if taken_up or "recipe.epochs" in request.settings:
        return settings, []
    epochs = -(-recipe.minimum_steps // Division(videos, recipe.batch_size).steps_per_epoch)
    if epochs <= recipe.epochs:
        return settings, []
    sentence = (
        f"{videos} videos are few: {epochs} epochs instead of {recipe.epochs}; another number: --epochs N"
    )
    return replace(settings, recipe=replace(recipe, epochs=epochs)), [sentence]


def _resumed_model(settings: RunSettings, training: VideoIndex) -> tuple[VideoMamba, list[str]]:
    """The network alone: its weights come from the checkpoint."""
    fresh = TrainingRequest()
    return starting_model(fresh, settings, training.classes)
