"""The sample tables of MP4 and QuickTime files: how many pictures and sounds they claim.

FFmpeg makes an entry of some 70 bytes for each claimed sample when it opens a file, and a table may state any
number of equal samples in 20 bytes. So the claims are added up before FFmpeg sees the file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vmexport.errors import InputError

MOST_SAMPLES = 1 << 24
"""Of all tracks together; at 60 pictures a second, three days of them."""
SAMPLES_OF_ANY_FILE = 1 << 20
"""Claims that cost little; more have to be in a file of at least as many bytes."""
MOST_BOXES = 1 << 20
"""Boxes that are looked at; the fragments of a day make some hundred thousand."""

FOLDERS = frozenset(
    b"moov trak mdia minf stbl moof traf edts dinf mvex sinf schi tref udta wave ilst strf".split()
)
"""Boxes that FFmpeg looks for others in."""
DEEPEST = 16
NOTED = frozenset((b"stsz", b"stz2", b"trun", b"hdlr", b"stsd", b"stts"))


PLAIN_SOUND = frozenset(
    (
        *b"sowt twos NONE in24 in32 fl32 fl64 lpcm ipcm fpcm ulaw alaw ima4 MAC3 MAC6 agsm".split(),
        *(b"raw ", b"ms\0\x02", b"ms\0\x11"),
    )
)
"""Sounds whose samples FFmpeg takes in chunks, without an entry for each: a minute has millions."""


@dataclass
class _Track:
    """What one track says of itself.

    Attributes:
        claimed: samples.
        handlers: kinds of media.
        sounds: kinds of its descriptions.
        steady: whether every sample lasts one unit of time.
    """

    claimed: int = 0
    handlers: set[bytes] = field(default_factory=set)
    sounds: list[bytes] = field(default_factory=list)
    steady: bool = False

    @property
    def entries(self) -> int:
        """Entries that FFmpeg makes."""
        sound = b"soun" in self.handlers and b"vide" not in self.handlers
        chunked = sound and self.steady and len(self.sounds) == 1 and self.sounds[0] in PLAIN_SOUND
        return 0 if chunked else self.claimed


def check_samples(file: BinaryIO, path: Path) -> None:
    """Refuse an MP4 or QuickTime file whose tables claim more samples than it can hold; others pass.

    Args:
        file: open; its position is lost.
        path: names it in errors.

    Raises:
        InputError: with the number, or the header is compressed, so that it may hold anything.
    """
    size = os.fstat(file.fileno()).st_size
    most = min(MOST_SAMPLES, max(size, SAMPLES_OF_ANY_FILE))
    tracks = [_Track()]
    for number, (kind, begin, end) in enumerate(_boxes(file, 0, size, 0)):
        if kind == b"cmov":
            raise InputError(
                f"{path} has a compressed header",
                "what it unpacks to is not known before it is unpacked",
                f"write it anew: ffmpeg -i {path} -c copy new.mp4",
            )
        if kind in (b"trak", b"traf"):
            tracks.append(_Track())
        _note(tracks[-1], file, kind, begin, end)
        if number > MOST_BOXES:
            raise InputError(f"{path} has more than {MOST_BOXES} boxes", "", "cut it into shorter files")
    claimed = sum(track.entries for track in tracks)
    if claimed > most:
        raise InputError(
            f"{path} claims more than it can hold",
            f"{claimed} samples in {size} bytes, at most {most} are read of such a file",
            "download or copy it again, or cut it into shorter files",
        )


def _note(track: _Track, file: BinaryIO, kind: bytes, begin: int, end: int) -> None:
    """Take down what a box says of its track."""
    file.seek(begin)
    content = file.read(min(20, end - begin)) if kind in NOTED else b""
    numbers = struct.unpack(f">{len(content) // 4}L", content[: len(content) // 4 * 4])
    if kind in (b"stsz", b"stz2") and len(numbers) >= 3:
        track.claimed += numbers[2]
    elif kind == b"trun" and len(numbers) >= 2:
        track.claimed += numbers[1]
    elif kind == b"hdlr":
        track.handlers.add(content[8:12])
    elif kind == b"stsd" and len(content) >= 16:
        track.sounds += [content[12:16]] * numbers[1] if numbers[1] < 2 else [b"", b""]
    elif kind == b"stts":
        track.steady = numbers[1:2] == (1,) and numbers[3:4] == (1,)


def _boxes(file: BinaryIO, begin: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
    """Boxes within a stretch of a file, each before those in it: its kind, and where its content lies."""
    while end - begin >= 8:
        file.seek(begin)
        head = file.read(16)
        if len(head) < 8:
            return
        length, kind, used = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1 and len(head) == 16:
            length, used = int.from_bytes(head[8:], "big"), 16
        elif length == 0:
            length = end - begin
        if length < used:
            return
        last = min(begin + length, end)
        yield kind, begin + used, last
        if kind in FOLDERS and depth < DEEPEST:
            yield from _boxes(file, begin + used, last, depth + 1)
        begin += length
