"""Is a file all there? What a container's own structure says about where its bytes end.

A length in a header is a claim that writers get wrong; a structure that reaches behind the end of the file is
proof that its end is missing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import av

from vmexport.errors import InputError
from vmexport.opening import open_regular

EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
"""Identifiers of the two elements at the top of a Matroska or WebM file (RFC 8794, RFC 9559)."""


def check_complete(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> None:
    """Refuse a file whose structure names bytes behind its end. Containers that state no sizes pass.

    Raises:
        InputError: the file is cut off.
    """
    names = container.format.name.split(",")
    needed = _indexed_end(stream)
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if "matroska" in names:
            needed = max(needed, _matroska_end(file))
        elif "avi" in names:
            needed = max(needed, _riff_end(file, size))
    if needed > size:
        raise InputError(
            f"{path} is cut off",
            f"its index needs {needed} bytes, the file has {size}",
            "download or copy it again",
        )


def _indexed_end(stream: av.VideoStream) -> int:
    """Where the last frame of the container's index ends; 0 without an index."""
    if not len(stream.index_entries):
        return 0
    last = stream.index_entries[-1]
    return last.pos + last.size if last.pos >= 0 else 0


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment ends; 0 where its writer did not say, as in a live recording."""
    if file.read(len(EBML)) != EBML:
        return 0
    header = _ebml_size(file)
    if header is None:
        return 0
    file.seek(header, 1)
    if file.read(len(SEGMENT)) != SEGMENT:
        return 0
    length = _ebml_size(file)
    return 0 if length is None else file.tell() + length


def _ebml_size(file: BinaryIO) -> int | None:
    """A size of EBML: as many further bytes as the first has leading zero bits; all ones mean unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    further = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & ((1 << (7 - further)) - 1)]) + file.read(further), "big")
    return None if value == (1 << 7 * (further + 1)) - 1 else value


def _riff_end(file: BinaryIO, size: int) -> int:
    """Where the last RIFF chunk of an AVI file ends; 0 where a recording was never closed."""
    end = 0
    while end < size:
        file.seek(end)
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        length = int.from_bytes(head[4:], "little")
        if length in (0, 0xFFFFFFFF):
            return 0
        end += 8 + length + length % 2
    return end
