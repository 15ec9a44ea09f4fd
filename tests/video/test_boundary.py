"""Hostile films: nothing but the named file is opened, nothing is waited for, nothing fills the memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import film, numbered

from vmexport.config import Architecture
from vmexport.errors import InputError, UsageError
from vmexport.video import boxes, container, decode, info, load_clips, probe, read_frames

IN_OPEN = 0x20


@contextlib.contextmanager
def opened_in(folder: Path) -> Iterator[list[str]]:
    """Fills the list with the names of all that was opened in a folder, by whatever library (Linux)."""
    library = ctypes.CDLL(None, use_errno=True)
    watch = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert watch >= 0
    assert library.inotify_add_watch(watch, os.fsencode(folder), IN_OPEN) >= 0
    names: list[str] = []
    try:
        yield names
        with contextlib.suppress(BlockingIOError):
            content = os.read(watch, 1 << 16)
            while content:
                length = struct.unpack_from("=iIII", content)[3]
                names.append(os.fsdecode(content[16 : 16 + length].rstrip(b"\0")))
                content = content[16 + length :]
    finally:
        os.close(watch)


PLAYLISTS = {
    "list.ffconcat": "ffconcat version 1.0\nfile other.mp4\n",
    "list.mp4": "ffconcat version 1.0\nfile 'other.mp4'\n",
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n",
    "list.idx": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n"
    "timestamp: 00:00:01:000, filepos: 000000000\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet><Representation id="1"><BaseURL>other.mp4</BaseURL></Representation></AdaptationSet>'
    "</Period></MPD>",
    "list.avs": 'DirectShowSource("other.mp4")\n',
    "list.xml": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">'
    "</CompositionPlaylist>",
    "list.ism": '<SmoothStreamingMedia MajorVersion="2"></SmoothStreamingMedia>',
    "list.f4m": "<manifest><media url='other.mp4'/></manifest>",
    "list.pls": "[playlist]\nFile1=other.mp4\n",
    "list.asx": "<asx version='3.0'><entry><ref href='other.mp4'/></entry></asx>",
    "list.txt": "1\n00:00:00,000 --> 00:00:01,000\nhello\n\n" * 20,
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_opens_nothing(tmp_path: Path, name: str) -> None:
    for other in ("other.mp4", "list.sub", "ASSETMAP.xml", "list.ts"):
        os.mkfifo(tmp_path / other)  # opening one would wait for ever
    (tmp_path / name).write_text(PLAYLISTS[name])
    with opened_in(tmp_path) as names, pytest.raises(InputError, match="not a readable video"):
        probe(tmp_path / name)
    assert set(names) == {name}


@pytest.mark.parametrize("name", ["%03d.png", "*.png", "[0-9].png", "a?.png", "%d.mp4", "{a,b}.jpg"])
def test_a_pattern_is_a_name(tmp_path: Path, name: str) -> None:
    picture = film(tmp_path / "own.png", [numbered(3)], codec="png", pixels="rgb24", form="image2")
    picture.rename(tmp_path / name)
    for other in ("001.png", "1.png", "a1.png", "1.mp4", "a.jpg"):
        os.mkfifo(tmp_path / other)
    with opened_in(tmp_path) as names:
        assert probe(tmp_path / name).frames == 1
    assert set(names) == {name}


def test_a_reference_to_another_file_is_not_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "other.mp4")
    path = film(tmp_path / "a.mp4", 10)
    path.write_bytes(referring(path.read_bytes(), tmp_path / "other.mp4"))
    with opened_in(tmp_path) as names, contextlib.suppress(InputError):
        read_frames(path, [3])
    assert set(names) == {"a.mp4"}


def referring(content: bytes, other: Path) -> bytes:
    """An MP4 file whose pictures are said to lie in another one, by a Macintosh alias record."""
    target = os.fsencode(other)
    record = bytes(10) + b"\3vol".ljust(28, b"\0") + bytes(12)
    record += bytes([len(other.name)]) + os.fsencode(other.name).ljust(63, b"\0") + bytes(16)
    record += struct.pack(">2h", 1, 1) + bytes(16)
    record += (
        struct.pack(">2h", 18, len(target)) + target + bytes(len(target) % 2) + struct.pack(">2h", -1, 0)
    )
    record = record.ljust(200, b"\0")
    entry = struct.pack(">L4sL", 12 + len(record), b"alis", 0) + record
    at = content.index(b"url \0\0\0\1") - 4
    changed = bytearray(content[:at] + entry + content[at + 12 :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        box = changed.rindex(kind, 0, at) - 4
        length = struct.unpack_from(">L", changed, box)[0]
        struct.pack_into(">L", changed, box, length + len(entry) - 12)
    return bytes(changed)


@pytest.mark.parametrize(
    "target", ["pipe", "/dev/zero", "/dev/tty", "/dev/stdin", "/proc/self/fd/0", "folder"]
)
def test_only_regular_files_are_opened(tmp_path: Path, target: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "film.mp4").symlink_to(target)
    with pytest.raises(InputError):
        probe(tmp_path / "film.mp4")


def test_no_read_takes_longer_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(10)]
    path = film(tmp_path / "a.mp4", noise)
    monkeypatch.setattr(container, "READ_LIMIT_S", 1e-9)
    with pytest.raises(InputError, match="reading took longer than 1e-09 s"):
        probe(path)
    opened: Any = av.open

    def open_in_time(*arguments: Any, timeout: float, **settings: Any) -> Any:
        return opened(*arguments, timeout=(60.0, 1e-9), **settings)

    monkeypatch.setattr(av, "open", open_in_time)
    with pytest.raises(InputError, match="reading took longer"):
        read_frames(path, [9])


def test_the_limit_is_that_of_ffmpeg_too() -> None:
    assert container.STRICT["max_pixels"] == str(container.MOST_PIXELS)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (16_384, 8_192), (2**31 - 1, 1)])
def test_pictures_too_large_to_decode(tmp_path: Path, width: int, height: int) -> None:
    path = film(tmp_path / "a.png", 1, codec="png", pixels="rgb24", form="image2")
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">2L", width, height)
    content[29:33] = struct.pack(">L", zlib.crc32(bytes(content[12:29])))
    path.write_bytes(content)
    with pytest.raises(InputError):
        probe(path)


def test_the_number_of_pixels_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(InputError, match="64 x 48 pixels are 3072, at most 3071"):
        probe(film(tmp_path / "a.mp4", 3))


def claim(path: Path, samples: int) -> None:
    """Let the sample tables of an MP4 file say that there are so many samples of a byte."""
    content = bytearray(path.read_bytes())
    content[(at := content.index(b"stsz")) + 8 : at + 16] = struct.pack(">2L", 1, samples)
    content[(at := content.index(b"stts")) + 12 : at + 16] = struct.pack(">L", samples)
    content[(at := content.index(b"stsc")) + 16 : at + 20] = struct.pack(">L", samples)
    path.write_bytes(content)


@pytest.mark.parametrize("samples", [1 << 21, 50_000_000, 2**32 - 1])
def test_more_samples_than_a_file_can_hold(tmp_path: Path, samples: int) -> None:
    path = film(tmp_path / "a.mp4", 10)
    claim(path, samples)
    with pytest.raises(InputError, match="claims more than it can hold") as caught:
        probe(path)
    assert str(samples) in caught.value.why


def test_many_tracks_or_fragments_do_not_claim_more_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "SAMPLES_OF_ANY_FILE", 100)
    monkeypatch.setattr(boxes, "MOST_SAMPLES", 150)
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    path = film(tmp_path / "a.mp4", 120, options={"g": "10"}, muxer=fragments)
    assert probe(path).frames == 120
    monkeypatch.setattr(boxes, "MOST_SAMPLES", 119)
    with pytest.raises(InputError, match="120 samples"):
        probe(path)


def test_a_compressed_header_is_not_unpacked(tmp_path: Path) -> None:
    box = struct.pack(">L4s", 8, b"cmov")
    (tmp_path / "a.mov").write_bytes(struct.pack(">L4s", 16, b"moov") + box + bytes(100))
    with pytest.raises(InputError, match="compressed header"):
        probe(tmp_path / "a.mov")


def test_boxes_without_end(tmp_path: Path) -> None:
    nested = b"".join(struct.pack(">L4s", 8 * (1000 - i), b"moov") for i in range(1000))
    (tmp_path / "deep.mp4").write_bytes(nested)
    (tmp_path / "endless.mp4").write_bytes(struct.pack(">L4sQ", 1, b"moov", 2**64 - 1) * 1000)
    for name in ("deep.mp4", "endless.mp4"):
        with pytest.raises(InputError):
            probe(tmp_path / name)


def test_sound_in_chunks_counts_for_nothing(tmp_path: Path) -> None:
    """A minute of plain sound has millions of samples, and FFmpeg makes no entry for each."""
    path = tmp_path / "long.mov"
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=1, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio: Any = out.add_stream("pcm_u8", rate=48_000)
        out.mux(video.encode(av.VideoFrame.from_ndarray(numbered(1), format="rgb24")))
        out.mux(video.encode(None))
        silence = av.AudioFrame.from_ndarray(
            np.full((1, (1 << 20) + 1), 128, np.uint8), format="u8", layout="mono"
        )
        silence.sample_rate = 48_000
        out.mux(audio.encode(silence))
        out.mux(audio.encode(None))
    with path.open("r+b") as file:
        content = file.read()
        file.seek(content.rindex(b"stsz") + 8)
        file.write(struct.pack(">2L", 1, 1 << 25))
    assert probe(path).frames == 1


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("name", [*PLAYLISTS, "film.mp4"])
def test_strace_sees_no_other_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "begin").touch()
    path = tmp_path / name
    if name in PLAYLISTS:
        path.write_text(PLAYLISTS[name])
    else:
        film(path, 10)
    code = (
        "import sys\nfrom vmexport.video import read_frames\nfrom vmexport.errors import InputError\n"
        "read_frames(sys.argv[3], [0])\nopen(sys.argv[1]).close()\n"
        "try: read_frames(sys.argv[2], [3])\nexcept InputError: pass\n"
        "open(sys.argv[1]).close()"
    )
    trace = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,connect", "-o", str(tmp_path / "log")]
    first = film(tmp_path / "first.mp4", 3)  # whatever is loaded on first use is loaded for it
    subprocess.run(
        [*trace, sys.executable, "-c", code, str(tmp_path / "begin"), str(path), str(first)], check=True
    )
    log = (tmp_path / "log").read_text().split(f'"{tmp_path / "begin"}"')[1].splitlines()[1:-1]
    assert log
    assert all(f'"{path}"' in line for line in log), log


def test_what_one_call_reads_has_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", 10)
    monkeypatch.setattr(decode, "MOST_PIXELS_AT_ONCE", 1_999_999)
    with pytest.raises(UsageError, match="2000000 pixels"):
        read_frames(path, [1, 2], (1000, 1000))
    with pytest.raises(UsageError, match="too many views"):
        load_clips(path, Architecture(size=1024, frames=64), views="10x10")
    monkeypatch.setattr(info, "MOST_FRAMES", 9)
    with pytest.raises(InputError, match="10 frames, at most 9"):
        probe(path)
