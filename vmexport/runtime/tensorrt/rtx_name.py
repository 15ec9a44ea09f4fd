"""The short name of TensorRT-RTX's library, which its ONNX parser asks for.

For a node that a plugin serves, the parser of TensorRT-RTX 1.7 opens `libtensorrt_rtx.so` and ends the
process where there is none. NVIDIA's Python package holds `libtensorrt_rtx.so.1` only. So a library of that
name is made and loaded: it holds no code, and needs the one that is loaded already, in which all is found.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import tempfile
from pathlib import Path

from vmexport.errors import EnvironmentProblem

SHORT_NAME, LIBRARY = "libtensorrt_rtx.so", "libtensorrt_rtx.so.1"

_MACHINES = {"x86_64": 62, "aarch64": 183}
"""Processors that TensorRT-RTX runs on under Linux, by their numbers in ELF files."""
_LARGEST_PAGE = 0x10000

# Of ELF, 64 bits, little-endian: layouts, kinds of segments, tags of the dynamic section.
_HEADER, _SEGMENT = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_SYMBOL_SIZE = 24
_LOAD, _DYNAMIC, _GNU_STACK, _READ_WRITE = 1, 2, 0x6474E551, 6
_NULL, _NEEDED, _HASH, _STRTAB, _SYMTAB, _STRSZ, _SYMENT, _SONAME = 0, 1, 4, 5, 6, 10, 11, 14


def provide_short_name() -> None:
    """Have `libtensorrt_rtx.so` found in this process, into which TensorRT-RTX is loaded already.

    Raises:
        EnvironmentProblem: it is not found and cannot be provided.
    """
    if _loads(SHORT_NAME):
        return
    try:
        with tempfile.TemporaryDirectory(prefix="vmexport-") as folder:
            path = Path(folder) / SHORT_NAME
            path.write_bytes(empty_library(SHORT_NAME, LIBRARY, platform.machine()))
            ctypes.CDLL(str(path))
    except (OSError, KeyError) as error:
        raise EnvironmentProblem(
            f"the parser of TensorRT-RTX would not find {SHORT_NAME}",
            f"{type(error).__name__}: {error}",
            f"ln -s {LIBRARY} FOLDER/{SHORT_NAME}, and LD_LIBRARY_PATH=FOLDER; or go without: --no-plugin",
        ) from error


def empty_library(name: str, needed: str, machine: str) -> bytes:
    """An ELF shared library that exports nothing and depends on another one.

    Args:
        name: its own name (`DT_SONAME`), by which later searches find it once it is loaded.
        needed: the library that comes with it (`DT_NEEDED`).
        machine: as `platform.machine()` says it.

    Raises:
        KeyError: another processor.
    """
    strings = b"\0" + name.encode() + b"\0" + needed.encode() + b"\0"
    hashes = struct.pack("<4I", 1, 1, 0, 0)  # one bucket, one symbol: the empty first one
    at_symbols = _HEADER.size + 3 * _SEGMENT.size
    at_hashes = at_symbols + _SYMBOL_SIZE
    at_strings = at_hashes + len(hashes)
    at_dynamic = (at_strings + len(strings) + 7) // 8 * 8
    entries = {
        _NEEDED: len(name) + 2, _SONAME: 1, _HASH: at_hashes, _STRTAB: at_strings, _SYMTAB: at_symbols,
        _STRSZ: len(strings), _SYMENT: _SYMBOL_SIZE, _NULL: 0,
    }  # fmt: skip
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries.items())
    magic, shared, version, sections = b"\x7fELF\x02\x01\x01", 3, 1, 64
    header = _HEADER.pack(
        magic, shared, _MACHINES[machine], version, 0, _HEADER.size, 0, 0, _HEADER.size, _SEGMENT.size, 3,
        sections, 0, 0,
    )  # fmt: skip
    segments = (
        (_LOAD, 0, at_dynamic + len(dynamic), _LARGEST_PAGE),
        (_DYNAMIC, at_dynamic, len(dynamic), 8),
        (_GNU_STACK, 0, 0, 16),  # no executable stack
    )
    content = header + b"".join(
        _SEGMENT.pack(kind, _READ_WRITE, start, start, start, size, size, alignment)
        for kind, start, size, alignment in segments
    )
    return (content + bytes(_SYMBOL_SIZE) + hashes + strings).ljust(at_dynamic, b"\0") + dynamic


def _loads(name: str) -> bool:
    """Whether the loader finds a library by its bare name."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
