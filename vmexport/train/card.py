"""Settings of a run: a card, the changes to it, and the comparison of two runs' settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vmexport.config import Architecture, Preprocessing
from vmexport.data import Cropping, VideoIndex
from vmexport.errors import InputError, UsageError
from vmexport.model import Card, load_card
from vmexport.train.recipe import Recipe

CARD_OF_LAYOUT = {"kinetics": "kinetics400", "ssv2": "ssv2", "hmdb51": "hmdb51"}
"""Recipe for a data set's format; class folders and lists are mostly small, as HMDB51 is."""

SMALL_DATA = "hmdb51"
SYNTHETIC = "synthetic"
SYNTHETIC_RECORD = "synthetic.json"
"""File that `vmexport data synth` leaves in its folders."""


@dataclass(frozen=True)
class RunSettings:
    """All numbers of a run.

    Attributes:
        architecture: the network.
        preprocessing: frames to floats.
        cropping: random crops of training clips.
        recipe: optimisation and augmentation.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    cropping: Cropping
    recipe: Recipe

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Tables as in a card."""
        return {name: getattr(self, name).to_dict() for name in _TABLES}

    @classmethod
    def from_tables(cls, tables: Mapping[str, Mapping[str, Any]]) -> RunSettings:
        """The reverse of `to_dict`; missing tables and entries take their defaults.

        Raises:
            UsageError: an unknown name or a value out of range.
        """
        return cls(**{name: kind.from_dict(tables.get(name, {})) for name, kind in _TABLES.items()})


_TABLES: dict[str, Any] = {
    "architecture": Architecture,
    "preprocessing": Preprocessing,
    "cropping": Cropping,
    "recipe": Recipe,
}


def choose_card(index: VideoIndex) -> tuple[Card, str]:
    """The card made for a data set's format, and a sentence that says so."""
    if (index.root / SYNTHETIC_RECORD).is_file():
        name, reason = SYNTHETIC, "this data set was made by vmexport data synth"
    elif index.layout in CARD_OF_LAYOUT:
        name, reason = CARD_OF_LAYOUT[index.layout], f"the data set has the format of {index.layout}"
    else:
        name, reason = SMALL_DATA, "the paper's recipe for a small data set"
    return load_card(name), f"no --config was given: took {name} ({reason})"


def card_tables(card: Card) -> dict[str, dict[str, Any]]:
    """The tables of a card, those about training included."""
    return {
        "architecture": card.architecture.to_dict(),
        "preprocessing": card.preprocessing.to_dict(),
        **{name: dict(table) for name, table in card.training.items()},
    }


def change(tables: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Apply changes such as `{"recipe.epochs": 5}` to tables.

    Raises:
        UsageError: a name that does not say its table.
    """
    changed = {name: dict(table) for name, table in tables.items()}
    for key, value in settings.items():
        table, _, name = key.partition(".")
        if table not in _TABLES or not name:
            raise UsageError(
                f"unknown setting {key!r}",
                f"expected TABLE.NAME, with a table out of {', '.join(_TABLES)}",
                "for example --set recipe.drop_path=0.2",
            )
        changed.setdefault(table, {})[name] = value
    return changed


def identity(settings: RunSettings, training: VideoIndex) -> dict[str, Any]:
    """What a resumed run must agree with: settings that change its numbers, classes and training videos.

    How the clips of a step are divided among processes and micro-batches may change.
    """
    tables = settings.to_dict()
    tables["recipe"] = {
        name: value
        for name, value in tables["recipe"].items()
        if name not in ("accumulate", "checkpoint_activations")
    }
    digest = hashlib.sha256()
    for sample in training.samples:
        digest.update(f"{_relative(sample.path, training)}\t{sample.label}\n".encode())
    return {
        **tables,
        "data": {
            "classes": list(training.classes),
            "videos": len(training),
            "directional": training.directional,
            "list_sha256": digest.hexdigest(),
        },
    }


def _relative(path: Any, index: VideoIndex) -> str:
    """A video's path within its data set, which may have moved since."""
    try:
        return str(path.relative_to(index.root))
    except ValueError:
        return str(path)


def require_same(saved: Mapping[str, Any], wanted: Mapping[str, Any], source: str) -> None:
    """Refuse to resume a run with other settings.

    Raises:
        InputError: naming every setting that differs, with both values.
    """
    differing = _differences(saved, wanted)
    if differing:
        raise InputError(
            f"{source} cannot be resumed with other settings",
            "; ".join(differing),
            "leave the settings out to go on as before, or start a new run from its weights with --init",
        )


def _differences(saved: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`recipe.epochs was 5, now 7` for every entry that differs."""
    found = []
    for name in dict.fromkeys((*saved, *wanted)):
        before, now = saved.get(name), wanted.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            found += _differences(before, now, f"{prefix}{name}.")
        elif before != now:
            found.append(f"{prefix}{name} was {_brief(before)}, now {_brief(now)}")
    return found


def _brief(value: object) -> str:
    """A value on one line of bearable length."""
    text = f"{value}"
    return text if len(text) <= 80 else f"{text[:77]}..."
