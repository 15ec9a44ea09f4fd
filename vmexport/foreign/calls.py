"""The meaning of a call of somebody else's function: its arguments by the field's names for them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vmexport.errors import UsageError

SYNONYMS = {
    "hidden_states": "u",
    "dt": "delta",
    "dt_bias": "delta_bias",
    "dt_softplus": "delta_softplus",
    "As": "A",
    "Bs": "B",
    "Cs": "C",
    "Ds": "D",
}
"""Other names of the arguments of a scan, by publication."""


@dataclass(frozen=True)
class Vocabulary:
    """The arguments that an entry point of one kind may have.

    Attributes:
        needed: without these it is another function.
        known: further ones whose meaning is computed.
        ignored: further ones that choose a kernel and do not change the result.
        synonyms: other names for those above.
    """

    needed: tuple[str, ...]
    known: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)

    def name(self, parameter: str) -> str:
        """The name that the argument has here."""
        return self.synonyms.get(parameter, parameter)

    def fault(self, signature: inspect.Signature) -> str:
        """What keeps a function from being one of this kind; empty where it is one."""
        names = {self.name(name) for name, parameter in signature.parameters.items() if _is_named(parameter)}
        lacking = [name for name in self.needed if name not in names]
        unknown = sorted(names - {*self.needed, *self.known, *self.ignored})
        if lacking:
            return f"it has no argument {', '.join(lacking)}"
        return f"it has unknown arguments: {', '.join(unknown)}" if unknown else ""


class Arguments(dict[str, Any]):
    """The arguments of one call by name; what was not given and has no default is None."""

    def __missing__(self, name: str) -> None:
        return None

    def refuse(self, what: str, **unsupported: Any) -> None:
        """Refuse arguments that have another value than their neutral one.

        Args:
            what: the function, for the message.
            unsupported: neutral value by name.

        Raises:
            UsageError: naming the first of them.
        """
        for name, neutral in unsupported.items():
            value = self[name]
            if value is not None and (neutral is None or value != neutral):
                raise UsageError(
                    f"{what} cannot be computed by vmexport's operators",
                    f"it is called with {name}, which they do not have",
                    "undo the patch for this model, or leave that argument out",
                )


def arguments_of(
    vocabulary: Vocabulary, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Arguments:
    """Bind a call to its function's own signature, defaults included.

    Raises:
        TypeError: as the function itself would have raised.
        UsageError: a further keyword, let through by `**kwargs`, that nobody knows.
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    found = Arguments()
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found.update({vocabulary.name(key): item for key, item in value.items()})
        elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            found[vocabulary.name(name)] = value
    return found


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
