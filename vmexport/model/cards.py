"""Presets: one TOML card a model, data rather than code."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from vmexport.config import Architecture, Preprocessing
from vmexport.documents import fit, read_toml
from vmexport.errors import EnvironmentProblem, InputError, UsageError, VmexportError, brief
from vmexport.model.network import VideoMamba
from vmexport.package import package_folders

TRAINING_TABLES = ("recipe", "cropping")
"""Tables of a card that only training reads."""


@dataclass(frozen=True)
class Card:
    """A preset.

    Attributes:
        name: as users type it.
        summary: one line for lists.
        source: where the settings come from.
        architecture: the network.
        preprocessing: how frames become its input.
        expected: known costs, each entry with the settings it holds for (`frames`, `num_classes`) and the
            numbers as published or derived (`tokens`, `parameters_m`, `paper_gmacs`, ...).
        training: the tables `recipe` and `cropping` of a card that says how to train; read by the trainer.
    """

    name: str
    summary: str
    source: str
    architecture: Architecture
    preprocessing: Preprocessing
    expected: tuple[Mapping[str, Any], ...] = ()
    training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """What a card may hold."""

    architecture: dict[str, Any]
    summary: str = ""
    source: str = ""
    preprocessing: dict[str, Any] = {}
    expected: tuple[dict[str, Any], ...] = ()
    recipe: dict[str, Any] | None = None
    cropping: dict[str, Any] | None = None


def card_folders() -> list[Path]:
    """Folders that may hold cards: inside an installed package, or `models/` beside the package's sources."""
    return [
        folder
        for root in package_folders()
        for folder in (root / "_models", root.parent / "models")
        if folder.is_dir()
    ]


def available_cards() -> dict[str, Path]:
    """All presets, name to file, sorted by name.

    Raises:
        EnvironmentProblem: no card is found, so the installation is incomplete.
    """
    found = {path.stem: path for folder in reversed(card_folders()) for path in folder.glob("*.toml")}
    if not found:
        raise EnvironmentProblem(
            "no model cards are installed",
            f"looked in {', '.join(f'{folder}/_models' for folder in package_folders())}",
            "pip install --force-reinstall vmexport",
        )
    return dict(sorted(found.items()))


def load_card(name_or_path: str | Path) -> Card:
    """Read a preset by name, or a card of one's own by path (`*.toml`).

    Raises:
        UsageError: no preset has this name; near names are listed.
        InputError: the card is missing or damaged.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        cards = available_cards()
        if str(name_or_path) not in cards:
            raise unknown_name(str(name_or_path), list(cards))
        path = cards[str(name_or_path)]
    if not path.exists():
        raise InputError(f"there is no card {path}", "", "vmexport models lists the presets")
    try:
        found = fit(read_toml(path), _Document)
        return Card(
            name=path.stem,
            summary=found.summary,
            source=found.source,
            architecture=Architecture.from_dict(found.architecture),
            preprocessing=Preprocessing.from_dict(found.preprocessing),
            expected=found.expected,
            training={name: table for name in TRAINING_TABLES if (table := getattr(found, name)) is not None},
        )
    except (ValueError, VmexportError) as error:
        fix = error.fix if isinstance(error, VmexportError) else ""
        raise InputError(
            f"the card {path} is damaged", brief(error), fix or "compare it with a preset: vmexport models"
        ) from error


def create_model(
    name_or_card: str | Path | Card,
    *,
    frames: int | None = None,
    num_classes: int | None = None,
    seed: int | None = 0,
    **overrides: Any,
) -> VideoMamba:
    """Make a model with random weights.

    Args:
        name_or_card: a preset's name, the path of a card, or a card.
        frames: frames of a clip, in place of the card's.
        num_classes: classes, in place of the card's.
        seed: of the random weights, so that a name always means the same model; None draws from torch's
            generator.
        **overrides: further settings of `Architecture`; None stands for no change.

    Returns:
        The model, in evaluation mode.

    Raises:
        UsageError: an unknown name, an unknown or impossible setting.
        InputError: a damaged card.
    """
    card = name_or_card if isinstance(name_or_card, Card) else load_card(name_or_card)
    settings = {"frames": frames, "num_classes": num_classes, **overrides}
    given = {key: value for key, value in settings.items() if value is not None}
    model = VideoMamba(card.architecture.with_overrides(**given), seed=seed)
    model.info = type(model.info)(model.architecture, preprocessing=card.preprocessing)
    model.notes = (f"the weights of {card.name} are random, so its predictions mean nothing",)
    return model.eval()


def unknown_name(name: str, known: list[str]) -> UsageError:
    """The error for a name that is no preset, with the nearest ones."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return UsageError(
        f"there is no preset {name!r}",
        f"near names: {', '.join(near)}" if near else f"the presets are {', '.join(known)}",
        f"use {near[0]}" if near else "vmexport models lists the presets",
    )
