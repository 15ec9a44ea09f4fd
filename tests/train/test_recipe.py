"""The recipe: defaults of the paper, cards, and values that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from vmexport.errors import UsageError
from vmexport.model import load_card
from vmexport.train import Recipe
from vmexport.train.card import RunSettings, card_tables, change


def test_the_defaults_are_the_papers() -> None:
    recipe = Recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (30, 64, 3e-4)
    assert recipe.warmup_epochs == 1


@pytest.mark.parametrize(
    ("name", "epochs", "classes", "flip"),
    [("kinetics400", 30, 400, 0.5), ("ssv2", 35, 174, 0.0), ("hmdb51", 50, 51, 0.5)],
)
def test_cards_of_the_paper(name: str, epochs: int, classes: int, flip: float) -> None:
    settings = RunSettings.from_tables(card_tables(load_card(name)))
    recipe, architecture = settings.recipe, settings.architecture
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (epochs, 64, 3e-4)
    assert recipe.flip == flip
    assert recipe.label_smoothing > 0
    assert recipe.randaugment_ops > 0
    assert recipe.erasing > 0
    assert (architecture.frames, architecture.size, architecture.num_classes) == (16, 224, classes)
    assert (architecture.depth, architecture.d_model, architecture.tubelet) == (24, 384, 2)
    assert settings.preprocessing.stride == 2


def test_round_trip() -> None:
    recipe = Recipe(epochs=7, betas=(0.8, 0.9), ema=0.99)
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"epochs": 2.5},
        {"epochs": True},
        {"learning_rate": float("nan")},
        {"learning_rate": -1.0},
        {"learning_rate": "fast"},
        {"minimum_rate": 1.0},
        {"drop_path": 1.0},
        {"label_smoothing": 1.0},
        {"betas": (0.9, 1.0)},
        {"ema": 1.0},
        {"flip": 2},
        {"checkpoint_activations": 1},
        {"momentum": 0.9},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Recipe.from_dict(values)


def test_changes_reach_their_tables() -> None:
    tables = change(card_tables(load_card("synthetic")), {"recipe.epochs": 5, "architecture.frames": 8})
    settings = RunSettings.from_tables(tables)
    assert settings.recipe.epochs == 5
    assert settings.architecture.frames == 8


@pytest.mark.parametrize("name", ["epochs", "recipe", "recipe.", "weights.epochs"])
def test_a_change_names_its_table(name: str) -> None:
    with pytest.raises(UsageError, match="unknown setting"):
        change({}, {name: 1})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("recipe.lr", 1.0, "unknown recipe setting: lr"),
        ("recipe.betas", 1, "betas must be a list, each entry a number"),
        ("recipe.betas", ["a", 0.9], "betas must be a list"),
        ("recipe.epochs", "many", "epochs must be a whole number"),
        ("preprocessing.stride", "two", "stride must be a whole number"),
        ("preprocessing.mean", 0.5, "mean must be a list"),
        ("cropping.area", 5, "area must be a list"),
        ("architecture.directions", "forward", "directions must be a list, each entry a word"),
        ("architecture.scale", "half", "scale must be a number"),
        ("architecture.position_on_cls", 1, "position_on_cls must be true or false"),
    ],
)
def test_a_wrong_name_or_type_is_named(name: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RunSettings.from_tables(change(card_tables(load_card("synthetic")), {name: value}))
