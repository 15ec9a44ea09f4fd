"""Opening a safetensors file: a regular file with a header of a sane size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vmexport.opening import first_bytes

LARGEST_HEADER_BYTES = 32 << 20
"""Of the JSON text before the tensors, which names some hundreds of them, and the classes."""


@contextlib.contextmanager
def open_tensors(path: Path, framework: str = "pt") -> Iterator[Any]:
    """Yield safetensors' reader of a file.

    Args:
        path: the file.
        framework: what tensors are read as, "pt" or "numpy".

    Raises:
        InputError: it is missing, unreadable, or no regular file.
        SafetensorError: it is damaged, or its header is larger than `LARGEST_HEADER_BYTES`.
    """
    length = int.from_bytes(first_bytes(path, 8, ""), "little")
    if length > LARGEST_HEADER_BYTES:
        raise SafetensorError(f"its header claims {length} bytes, at most {LARGEST_HEADER_BYTES} are read")
    with safe_open(path, framework=framework, device="cpu") as file:
        yield file
