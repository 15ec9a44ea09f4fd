"""The outside of a PyTorch file: a zip archive of stored records, none larger than the file that holds it.

torch allocates what an archive claims before it looks at a byte, and unpacks what is deflated: a small file
could fill any memory. `torch.save` never deflates, so an honest file passes.
"""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from vmexport.errors import InputError

MOST_RECORDS = 100_000
"""Records of one file; a training checkpoint of the largest VideoMamba has some thousands."""
LARGEST_DIRECTORY_BYTES = 64 << 20

END, END_64, LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
END_FORMAT, END_64_FORMAT, LOCATOR_FORMAT = "<4s4H2LH", "<4sQ2H2L4Q", "<4sLQL"
LOCAL_FORMAT = "<4s5H3L2H"
"""The records at the end of an archive, and the one before each file in it (APPNOTE.TXT 4.3)."""
ENCRYPTED = 1


class _UnsoundError(Exception):
    """What is wrong with an archive."""


def check_archive(file: BinaryIO, path: Path) -> None:
    """Refuse an archive that would take more memory than its own size, before anything of it is unpacked.

    Args:
        file: the archive, open; left at its beginning.
        path: names it in errors.

    Raises:
        InputError: a record is compressed, encrypted, named twice, larger than the file, or lies in another
            one; there are too many; or the archive is cut off.
    """
    try:
        directory_at = _directory(file)
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            if archive.start_dir != directory_at:
                raise _UnsoundError("it has two directories")
            _check_records(file, archive.infolist(), directory_at)
    except _UnsoundError as error:
        raise InputError(
            f"{path} is not what torch.save writes; nothing of it was read",
            f"{error}, so that reading it could take any amount of memory",
            "save the model's state_dict() with torch.save, or ask for a safetensors file",
        ) from error
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise InputError(
            f"{path} is damaged or incomplete",
            str(error),
            "fetch or copy the file again and compare its size",
        ) from error
    file.seek(0)


def _directory(file: BinaryIO) -> int:
    """Where the directory begins, which must be at the one place that all readers of archives agree on.

    Raises:
        _UnsoundError: it is elsewhere, or too large.
    """
    size = file.seek(0, os.SEEK_END)
    end_at = size - struct.calcsize(END_FORMAT)
    end = _unpack(file, end_at, END_FORMAT)
    if end[0] != END:
        raise zipfile.BadZipFile("its end is missing")
    records, length, start, following = end[4], end[5], end[6], end_at
    locator_at = end_at - struct.calcsize(LOCATOR_FORMAT)
    if locator_at >= 0 and (locator := _unpack(file, locator_at, LOCATOR_FORMAT))[0] == LOCATOR_64:
        following = locator_at - struct.calcsize(END_64_FORMAT)
        end_64 = _unpack(file, following, END_64_FORMAT)
        if end_64[0] != END_64 or locator[2] != following:
            raise _UnsoundError("it has two directories")
        records, length, start = end_64[7:10]
    if records > MOST_RECORDS or length > LARGEST_DIRECTORY_BYTES:
        raise _UnsoundError(f"it has {records} records, at most {MOST_RECORDS} are read")
    if start + length != following:
        raise _UnsoundError("its directory is not where it says")
    return int(start)


def _check_records(file: BinaryIO, records: list[zipfile.ZipInfo], end: int) -> None:
    """Refuse records that are more than bytes of the file, each lying in it once.

    Raises:
        _UnsoundError: with the record's name.
    """
    if len(records) > MOST_RECORDS:
        raise _UnsoundError(f"it has {len(records)} records, at most {MOST_RECORDS} are read")
    names = {record.orig_filename for record in records}
    if len(names) < len(records):
        raise _UnsoundError("two of its records have one name")
    last, before = 0, ""
    for record in sorted(records, key=lambda record: record.header_offset):
        name = record.orig_filename
        if record.compress_type != zipfile.ZIP_STORED:
            raise _UnsoundError(f"its record {name!r} is compressed to unpack to {record.file_size} bytes")
        if record.flag_bits & ENCRYPTED:
            raise _UnsoundError(f"its record {name!r} is encrypted")
        if record.file_size != record.compress_size:
            raise _UnsoundError(f"its record {name!r} has two sizes")
        if record.header_offset < last:
            raise _UnsoundError(f"its records {before!r} and {name!r} overlap")
        header = _unpack(file, record.header_offset, LOCAL_FORMAT)
        last = (
            record.header_offset + struct.calcsize(LOCAL_FORMAT) + header[9] + header[10] + record.file_size
        )
        if last > end:
            raise _UnsoundError(f"its record {name!r} of {record.file_size} bytes is larger than the file")
        before = name


def _unpack(file: BinaryIO, at: int, layout: str) -> tuple[Any, ...]:
    """A record of an archive, at a place."""
    if at < 0:
        raise zipfile.BadZipFile("it is too short")
    file.seek(at)
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
