"""`--set`: names, values as in TOML, and what is said twice."""

from __future__ import annotations

import pytest

from vmexport.cli.card_settings import parse_settings
from vmexport.errors import UsageError


def test_values_are_written_as_in_toml() -> None:
    texts = [
        "recipe.drop_path=0.2",
        "recipe.epochs = 3",
        "cropping.area=[0.5, 1]",
        "architecture.position=none",
    ]
    assert parse_settings(texts, {}) == {
        "recipe.drop_path": 0.2,
        "recipe.epochs": 3,
        "cropping.area": [0.5, 1],
        "architecture.position": "none",
    }


def test_options_that_were_not_given_change_nothing() -> None:
    assert parse_settings(None, {"recipe.epochs": None, "recipe.seed": 0}) == {"recipe.seed": 0}


@pytest.mark.parametrize("text", ["recipe.epochs", "=3", ""])
def test_a_setting_needs_a_name_and_a_value(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read --set"):
        parse_settings([text], {})


def test_one_setting_has_one_value() -> None:
    with pytest.raises(UsageError, match=r"recipe\.epochs is given twice"):
        parse_settings(["recipe.epochs=5"], {"recipe.epochs": 1})
