"""The record beside the films: it names every file of the set, and these are all that may ever be removed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from vmexport.documents import read_json
from vmexport.errors import InputError, UsageError
from vmexport.files import explain_write_error

RECORD = "synthetic.json"
"""File that says how a set was made, and names every file of it."""
MADE_BY = "vmexport data synth"
LARGEST_RECORD_BYTES = 256 << 20
ELSEWHERE = "name another folder, or remove this one yourself"


def write_record(folder: Path, description: Mapping[str, Any]) -> None:
    """Write the record of the files that lie in a folder.

    Args:
        folder: the complete set.
        description: what to say of it besides.
    """
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    record = {"made_by": MADE_BY, **description, "files": files}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def check_replaceable(out: Path, force: bool) -> None:
    """Refuse to make a set where one may not be made.

    Raises:
        UsageError: something is there and `force` is not given, or it is the working directory.
        InputError: something is there that is no such set, or holds more than one.
    """
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        raise InputError(f"{out} is there, and no folder", "nothing was changed", "name another folder")
    if Path.cwd().is_relative_to(out.resolve()):
        raise UsageError(
            f"{out} is the working directory, or above it",
            "nothing was changed",
            f"name a folder in it: {out / 'set'}",
        )
    if any(out.iterdir()):
        if not force:
            raise UsageError(
                f"{out} is already there", "nothing was changed", "add --force to replace it, or name another"
            )
        try:
            _content(out)
        except OSError as error:
            raise explain_write_error(error, out) from error


def remove_set(folder: Path) -> None:
    """Remove a set by the names in its record, or nothing where anything else lies in its folder.

    Args:
        folder: a set, or an empty folder.

    Raises:
        InputError: it is neither, or holds more.
        OSError: a file cannot be removed.
    """
    if any(folder.iterdir()):
        files, folders = _content(folder)
        for path in files:
            path.unlink()
        for path in reversed(folders):  # each behind the one that it lies in
            path.rmdir()
        (folder / RECORD).unlink()
    folder.rmdir()


def _content(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files and folders of a set that are there, the record left out.

    Raises:
        InputError: there is no record, or anything lies there that it does not name.
        OSError: a folder cannot be read.
    """
    named = _named(folder)
    above = {str(inner) for name in named for inner in PurePosixPath(name).parents}
    found: tuple[list[Path], list[Path]] = [], []
    for place, folders, files in os.walk(folder, onerror=_raise):
        for names, wanted, paths in ((files, {*named, RECORD}, found[0]), (folders, above, found[1])):
            for path in (Path(place, name) for name in names):
                relative = path.relative_to(folder).as_posix()
                if relative not in wanted or path.is_symlink():
                    raise InputError(
                        f"{folder} holds more than the data set",
                        f"its {RECORD} does not name {relative}; nothing was changed",
                        f"move it elsewhere, {ELSEWHERE}",
                    )
                if relative != RECORD:
                    paths.append(path)
    return found


def _raise(error: OSError) -> None:
    raise error


def _named(folder: Path) -> set[str]:
    """What the record names.

    Raises:
        InputError: there is no such record.
    """
    what = f"{folder} is not a data set made by this command"
    if not (folder / RECORD).is_file():
        raise InputError(what, f"it has no {RECORD}; replacing it could lose your files", ELSEWHERE)
    try:
        record = read_json(folder / RECORD, LARGEST_RECORD_BYTES)
    except ValueError as error:
        raise InputError(what, f"its {RECORD} cannot be read: {error}", ELSEWHERE) from error
    files = record.get("files") if isinstance(record, dict) and record.get("made_by") == MADE_BY else None
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise InputError(what, f"its {RECORD} does not name the files that belong to it", ELSEWHERE)
    return set(files)
