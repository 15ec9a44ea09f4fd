"""One thing that was looked at on this machine, and how it is."""

from __future__ import annotations

from dataclasses import dataclass

OK, MISSING, BROKEN, SKIPPED = "ok", "missing", "broken", "skipped"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: the thing.
        status: `OK`; `MISSING`, it is not there; `BROKEN`, it is there and does not work or must not
            be loaded; `SKIPPED`, it is there and could not be tried on this machine.
        detail: version, path, error or reason.
        purpose: what needs it, or which library it is part of.
        fix: what to type where it is not `OK`.
    """

    name: str
    status: str
    detail: str
    purpose: str = ""
    fix: str = ""
