"""`--set NAME=VALUE`: any setting of a card, beside those that have an option of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from vmexport.documents import parse_toml
from vmexport.errors import UsageError

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Any other setting, such as recipe.drop_path=0.2; repeatable."
    ),
]


def parse_settings(texts: Sequence[str] | None, by_option: Mapping[str, Any]) -> dict[str, Any]:
    """`recipe.drop_path=0.2` to a name and a value; values are written as in TOML, plain words unquoted.

    Args:
        texts: what `--set` was given.
        by_option: values of the options that stand for a setting, None where one was not given.

    Raises:
        UsageError: no name, or a setting that is given twice.
    """
    changes: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"cannot read --set {text}", "expected NAME=VALUE", "--set recipe.drop_path=0.2")
        try:
            changes[name.strip()] = parse_toml(f"value = {value}")["value"]
        except ValueError:
            changes[name.strip()] = value.strip()
    for name, value in by_option.items():
        if value is None:
            continue
        if name in changes:
            raise UsageError(
                f"{name} is given twice", f"{value} by its option, {changes[name]} by --set", "leave one out"
            )
        changes[name] = value
    return changes
