"""A seek gives the very picture that decoding from the beginning gives, whatever the codec and container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.error import FFmpegError
from films import film, moving, number_of
from numpy.typing import NDArray

from vmexport.errors import InputError
from vmexport.video import FrameReader, probe, read_frames
from vmexport.video.decode import INTERPOLATION

SHARP = {"qmin": "1", "qmax": "1"}
ALT_REF = {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good", "cpu-used": "5"}

CODECS: dict[str, dict[str, Any]] = {
    "h264": {"options": {"g": "25", "bf": "3"}},
    "h264, open groups": {
        "options": {"x264-params": "keyint=25:bframes=5:b-pyramid=normal:open-gop=1:b-adapt=0:scenecut=0"}
    },
    "h264, strict pyramid": {
        "options": {"x264-params": "keyint=48:bframes=8:b-pyramid=strict:open-gop=1:ref=5"}
    },
    "h264, intra refresh": {"options": {"x264-params": "keyint=50:intra-refresh=1:bframes=0"}},
    "h264, intra refresh, B": {"options": {"x264-params": "keyint=50:intra-refresh=1:bframes=2"}},
    "hevc": {"codec": "libx265", "options": {"x265-params": "keyint=25:log-level=none:open-gop=0"}},
    "hevc, open groups": {
        "codec": "libx265",
        "options": {"x265-params": "keyint=25:log-level=none:open-gop=1:bframes=4"},
    },
    "vp8": {"codec": "libvpx", "options": ALT_REF},
    "vp9": {"codec": "libvpx-vp9", "options": ALT_REF},
    "mpeg2": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2", **SHARP}},
    "mpeg4": {"codec": "mpeg4", "options": {"g": "20", "bf": "0", **SHARP}},
    "mpeg4, B": {"codec": "mpeg4", "options": {"g": "20", "bf": "2", **SHARP}},
    "av1": {"codec": "libsvtav1", "options": {"preset": "10", "svtav1-params": "keyint=30"}},
    "mjpeg": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "flv1": {"codec": "flv", "options": {"g": "25"}},
}
CONTAINERS = ("mp4", "fragmented.mp4", "mov", "mkv", "webm", "ts", "avi", "flv")
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
SINGLE_READS = 12


def decoded(path: Path) -> list[NDArray[Any]]:
    """Every picture, by plain decoding from the beginning."""
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24", interpolation=INTERPOLATION)
            for frame in container.decode(video=0)
        ]


def possible(codec: str, container: str, folder: Path, frames: int) -> Path | None:
    """The film, or None where the container cannot hold the codec, or FFmpeg cannot read what it wrote."""
    path = folder / f"film.{container}"
    muxer = FRAGMENTED if container == "fragmented.mp4" else {}
    try:
        film(path, [moving(index) for index in range(frames)], muxer=muxer, **CODECS[codec])
        with av.open(str(path)) as opened:
            next(opened.decode(video=0))
    except (FFmpegError, ValueError, IndexError):
        return None
    return path


@pytest.mark.parametrize("codec", CODECS)
def test_single_reads_equal_sequential_decoding(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVT_LOG", "0")
    random = np.random.default_rng(sum(codec.encode()))
    pairs = 0
    for container in CONTAINERS:
        path = possible(codec, container, tmp_path, int(random.choice([151, 180, 240])))
        if path is None:
            continue
        pictures = decoded(path)
        assert probe(path).frames == len(pictures), container
        ends = [0, len(pictures) - 1]
        for index in [*random.choice(len(pictures), SINGLE_READS, replace=False), *ends]:
            assert np.array_equal(read_frames(path, [index])[0], pictures[index]), (container, index)
            pairs += 1
        several = random.choice(len(pictures), 9, replace=False)
        for index, picture in zip(several, read_frames(path, several), strict=True):
            assert np.array_equal(picture, pictures[index]), (container, index)
    assert pairs >= 2 * (SINGLE_READS + 2)  # of each codec, at least two containers were read


def test_a_stream_in_which_no_seek_helps_is_decoded_once_from_the_beginning(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 250, options={"x264-params": "keyint=50:intra-refresh=1:bframes=2"})
    with FrameReader(path) as reader:
        wanted = [220, 240, 110]
        assert [number_of(picture) for picture in reader.read(wanted)] == wanted
        first = reader.decoded
        assert number_of(reader.read([230])[0]) == 230
        assert reader.decoded - first <= 250


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_an_avi_with_reordered_frames_is_read_in_order(tmp_path: Path, codec: str) -> None:
    options = {"bf": "2", **SHARP} if codec == "mpeg4" else {"bf": "2"}
    path = film(tmp_path / "a.avi", 200, codec=codec, options=options)
    info = probe(path)
    assert (info.frames, info.frames_exact, info.seekable) == (200, True, False)
    assert [number_of(picture) for picture in read_frames(path, range(200))] == list(range(200))
    assert number_of(read_frames(path, [137])[0]) == 137


def test_times_that_go_back_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.avi", 100, options={"bf": "2"})
    monkeypatch.setattr("vmexport.video.info._has_display_times", lambda container, stream: True)
    with FrameReader(path) as reader:
        assert reader.info.seekable
        assert [number_of(picture) for picture in reader.read(range(100))] == list(range(100))
        assert not reader.info.seekable
        assert number_of(reader.read([57])[0]) == 57


def test_a_header_that_promises_too_much_is_a_remark(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 100)
    content = path.read_bytes()
    at = content.index(b"\x44\x89\x88") + 3  # Duration, a float of eight bytes, in milliseconds
    path.write_bytes(content[:at] + np.array(9000, ">f8").tobytes() + content[at + 8 :])
    info = probe(path)
    assert info.frames == 100
    assert "promises 9.00 s" in info.note
    assert number_of(read_frames(path, [99])[0]) == 99
    path.write_bytes(path.read_bytes()[: len(content) * 3 // 4])
    with pytest.raises(InputError, match="cut off"):
        probe(path)


@pytest.mark.parametrize("options", [{}, {"bf": "0"}])
@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.flv", "a.mp4"])
def test_sound_that_outlasts_the_picture_costs_no_frame(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    path = film(tmp_path / name, 60, sound=True, options=options)
    assert probe(path).frames == 60
    assert number_of(read_frames(path, [59])[0]) == 59
