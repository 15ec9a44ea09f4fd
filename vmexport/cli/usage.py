"""What typer refuses of a command line, said like every other error: what, why, a fix to copy."""

from __future__ import annotations

import difflib
import re
from typing import Any

from vmexport.errors import UsageError

_NOT_A_CHOICE = re.compile(r"(?P<value>'.*'|\".*\") is not one of (?P<choices>'.*')", re.DOTALL)


def is_usage_error(error: Exception) -> bool:
    """Whether typer raised it over the words of the command line, and does not only want to show the help."""
    return hasattr(error, "format_message") and type(error).__name__ != "NoArgsIsHelpError"


def explain_usage(error: Any) -> UsageError:
    """The error of this package for one of typer's usage errors."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "vmexport"
    parameter = getattr(error, "param", None)
    choice = _NOT_A_CHOICE.search(str(getattr(error, "message", "")))
    if choice is not None and parameter is not None:
        return _not_a_choice(choice, parameter)
    what = str(error.format_message()).strip().rstrip(".")
    return UsageError(what[:1].lower() + what[1:], "", f"{command} --help")


def _not_a_choice(choice: re.Match[str], parameter: Any) -> UsageError:
    """A word that is none of the few that an option takes; the nearest one is the fix."""
    value, words = choice["value"].strip("'\""), re.findall(r"'([^']*)'", choice["choices"])
    option = max(parameter.opts, key=len)
    name = option.lstrip("-").replace("-", " ")
    near = difflib.get_close_matches(value, words, n=1, cutoff=0.5) or words[:1]
    fix = f"{option} {near[0]}" if option.startswith("-") else near[0]
    return UsageError(f"unknown {name} {value!r}", f"{value!r} is not one of {', '.join(words)}", fix)
