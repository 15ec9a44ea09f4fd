"""Files that are no video, or that are one no more: each is refused with what, why and a fix."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from films import film, number_of, numbered, sound_only

from vmexport.config import Architecture
from vmexport.errors import ExitCode, InputError
from vmexport.video import load_clips, probe, read_frames

SMALL = Architecture(size=32)
FAST_START = {"movflags": "faststart"}


def noisy(count: int) -> list[Any]:
    """Numbered pictures with noise over them, so that every frame takes hundreds of bytes."""
    random = np.random.default_rng(0)
    return [numbered(i) // 2 + random.integers(0, 128, (48, 64, 3), dtype=np.uint8) for i in range(count)]


def refused(path: Path | str) -> InputError:
    """The error that loading a clip raises."""
    with pytest.raises(InputError) as caught:
        load_clips(path, SMALL)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert caught.value.fix
    assert str(path) in caught.value.what
    return caught.value


def test_missing_empty_folder_and_fifo(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.mp4").what
    assert "folder" in refused(tmp_path).what
    (tmp_path / "empty.mp4").touch()
    assert "0 bytes" in refused(tmp_path / "empty.mp4").why
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "not a regular file" in refused(tmp_path / "pipe.mp4").what
    assert "cannot read" in refused("bad\0name.mp4").what


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "secret.mp4", 5)
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser reads everything: let opening fail as it would for others
        original = os.open

        def deny(name: Any, *arguments: Any, **settings: Any) -> Any:
            if name == path:
                raise PermissionError(13, "Permission denied")
            return original(name, *arguments, **settings)

        monkeypatch.setattr(os, "open", deny)
    error = refused(path)
    assert error.why == "Permission denied"
    assert error.fix.startswith("chmod")


def test_sound_alone(tmp_path: Path) -> None:
    error = refused(sound_only(tmp_path / "sound.mp4"))
    assert "has no video" in error.what
    assert "audio" in error.why


def test_sound_with_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    still = film(tmp_path / "cover.jpg", [numbered(1)], codec="mjpeg", pixels="yuvj420p", form="image2")
    path = tmp_path / "song.m4a"
    song, cover = av.open(str(sound_only(tmp_path / "sound.mp4"))), av.open(str(still))
    with song, cover, av.open(str(path), "w", format="mp4") as out:
        streams: list[Any] = [out.add_stream_from_template(one.streams[0]) for one in (song, cover)]
        streams[1].disposition = Disposition.attached_pic
        for container, stream in zip((song, cover), streams, strict=True):
            for packet in container.demux():
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    assert "cover picture" in refused(path).why


@pytest.mark.parametrize(
    "name", ["notes.txt", "notes.mp4", "notes.nfo", "list.m3u8", "list.ffconcat", "subs.srt"]
)
def test_texts_and_playlists(tmp_path: Path, name: str) -> None:
    film(tmp_path / "a.mp4", 5)
    beginnings = {
        ".m3u8": "#EXTM3U\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n",
        ".ffconcat": "ffconcat version 1.0\n",
    }
    text = beginnings.get(Path(name).suffix, "1\n00:00:00,000 --> 00:00:01,000\nhello\n\n")
    path = tmp_path / name
    path.write_text(text + ("file a.mp4\n" if name.endswith("ffconcat") else "hello\n" * 200))
    refused(path)


@pytest.mark.parametrize(
    "content", [bytes(5000), np.random.default_rng(0).bytes(50_000), b"\x00\x00\x00\x18ftypmp42"]
)
def test_bytes_that_mean_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    ("name", "muxer"), [("a.mp4", {}), ("a.mp4", FAST_START), ("a.mkv", {}), ("a.avi", {})]
)
def test_a_file_cut_off_anywhere(tmp_path: Path, share: float, name: str, muxer: dict[str, str]) -> None:
    path = film(tmp_path / name, noisy(150), muxer=muxer)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    error = refused(path)
    if muxer and share > 0.3:
        assert "cut off" in error.what


def test_without_an_index_the_missing_frame_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.video.container.check_complete", lambda container, stream, path: None)
    path = film(tmp_path / "a.mp4", noisy(150), muxer=FAST_START, options={"bf": "0"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read_frames(path, [30])
    with pytest.raises(InputError, match=r"damaged at 2\.\d\d s"):
        read_frames(path, [30, 120])


def test_damaged_bytes_in_the_middle_are_an_error_with_the_time(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", noisy(150), options={"g": "50", "bf": "0"})
    _overwrite(path, frame=75, length=200)
    with pytest.raises(InputError, match=r"damaged at 3\.\d\d s"):
        read_frames(path, [80])
    assert len(read_frames(path, [10, 40])) == 2  # frames that do not depend on the damage are unharmed
    assert len(read_frames(path, [120, 149])) == 2


def test_a_real_clip_with_damage_is_refused_rather_than_guessed(real_clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(real_clip.read_bytes())
    _overwrite(path, frame=57, length=1024)
    assert "damaged at" in refused(path).what


def test_a_damaged_first_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", noisy(20))
    _overwrite(path, frame=0, length=400)
    refused(path)


def test_transport_streams_mark_damaged_packets(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", noisy(100), options={"g": "25", "bf": "0"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged at"):
        read_frames(path, range(100))


def test_a_still_cut_in_half(tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", noisy(1), codec="png", pixels="rgb24", form="image2")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path)


@pytest.mark.parametrize("make", [probe, lambda path: read_frames(path, [0])])
def test_every_entrance_refuses(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    with pytest.raises(InputError):
        make(tmp_path / "none.mp4")


def test_sound_that_outlasts_the_picture_is_no_damage(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 25, sound=True)  # one second of picture, four of sound
    info = probe(path)
    assert info.frames == 25
    assert number_of(read_frames(path, [24])[0]) == 24


def _overwrite(path: Path, frame: int, length: int) -> None:
    """Put noise into the middle of one coded frame of an mp4 file."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        place, size = packets[frame].pos, packets[frame].size
    assert place is not None
    content = bytearray(path.read_bytes())
    start = place + size // 3
    noise = np.random.default_rng(3).bytes(min(length, place + size - start))
    content[start : start + len(noise)] = noise
    path.write_bytes(content)


def test_a_title_in_another_encoding_does_not_matter(tmp_path: Path) -> None:
    """Whatever PyAV makes of it: releases differ in what they take for it."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLE-TO-SPOIL"
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
        container.mux([*stream.encode(picture), *stream.encode()])
    path.write_bytes(path.read_bytes().replace(b"TITLE-TO-SPOIL", b"\xe9\xff\xfeLE-TO-SPOIL"))
    assert probe(path).frames == 1
