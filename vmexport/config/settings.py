"""Settings from outside (cards, `--set`, metadata): names and types, checked before a dataclass is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from vmexport.documents import fit
from vmexport.errors import UsageError


def check_settings(table: str, defaults: Any, values: Mapping[str, Any]) -> None:
    """Refuse names that a dataclass does not have, and values of another type than its defaults.

    Args:
        table: what the settings belong to, such as "recipe".
        defaults: an instance of the dataclass.
        values: settings by name.

    Raises:
        UsageError: an unknown name or a value of another type.
    """
    known = {field.name: getattr(defaults, field.name) for field in fields(defaults)}
    types = get_type_hints(type(defaults))
    for name, value in values.items():
        if name not in known:
            raise UsageError(
                f"unknown {table} setting: {name}",
                f"the settings are {', '.join(sorted(known))}",
                "correct the name",
            )
        try:
            fit(value, types[name])
        except ValueError as error:
            raise UsageError(
                f"{name} must be {_kind(known[name])}",
                f"got {value!r}: {error}",
                f"for example {table}.{name}={json.dumps(known[name])}",
            ) from None


def _kind(default: Any) -> str:
    """What is expected, in words."""
    if isinstance(default, tuple):
        return f"a list, each entry {_kind(default[0])}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    return names[type(default)]
