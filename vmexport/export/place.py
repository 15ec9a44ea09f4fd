"""Where a file is to go: refused before minutes of work."""

from __future__ import annotations

import os
from pathlib import Path

from vmexport.errors import InputError


def check_place(path: Path, example: str) -> None:
    """Refuse a place where no file can be written.

    Args:
        path: the file.
        example: a name such as it might have, for the fix.

    Raises:
        InputError: a folder of that name, no such folder around it, or no permission.
    """
    if path.is_dir():
        raise InputError(f"cannot write {path}", "it is a folder", f"name a file: -o {example}")
    if not path.parent.is_dir():
        raise InputError(
            f"cannot write {path}", f"the folder {path.parent} does not exist", f"mkdir -p {path.parent}"
        )
    if not os.access(path.parent, os.W_OK):
        raise InputError(
            f"cannot write {path}", "no permission to write there", "choose another place with -o"
        )
