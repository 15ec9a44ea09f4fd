from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import film, number_of, numbered

from vmexport.errors import InputError, UsageError
from vmexport.video import FrameReader, probe, read_frames
from vmexport.video.decode import INTERPOLATION

OPEN_GROUPS = {
    "x264-params": "open-gop=1:keyint=24:min-keyint=24:scenecut=0:bframes=3:b-adapt=0:b-pyramid=normal"
}

FILMS: dict[str, tuple[str, dict[str, Any]]] = {
    "H.264 in mp4": ("a.mp4", {}),
    "H.264, short groups": ("a.mp4", {"options": {"g": "10"}}),
    "H.264, open groups": ("a.mp4", {"options": OPEN_GROUPS}),
    "H.264, open groups, ts": ("a.ts", {"options": OPEN_GROUPS}),
    "H.264 in mkv": ("a.mkv", {}),
    "NTSC rate in mkv (rounded times)": ("a.mkv", {"rate": Fraction(30000, 1001)}),
    "NTSC rate in mp4": ("a.mp4", {"rate": Fraction(30000, 1001)}),
    "one frame a second": ("a.mp4", {"rate": 1}),
    "H.264 in ts": ("a.ts", {"options": {"g": "25"}}),
    "H.264 in flv": ("a.flv", {}),
    "fragmented mp4": ("a.mp4", {"options": {"g": "25"}, "muxer": {"movflags": "frag_keyframe+empty_moov"}}),
    "raw H.264": ("a.h264", {"form": "h264", "options": {"g": "25"}}),
    "MPEG-4 in avi": ("a.avi", {"codec": "mpeg4", "options": {"qmin": "1", "qmax": "1"}}),
    "MPEG-4, B-frames": ("a.mp4", {"codec": "mpeg4", "options": {"bf": "2", "qmin": "1", "qmax": "1"}}),
    "MPEG-2 in mpg": ("a.mpg", {"codec": "mpeg2video"}),
    "motion JPEG": ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    "10 bits": ("a.mp4", {"pixels": "yuv420p10le"}),
    "grey": ("a.mkv", {"codec": "ffv1", "pixels": "gray"}),
    "lossless RGB": ("a.mkv", {"codec": "ffv1", "pixels": "bgr0"}),
    "with sound": ("a.mkv", {"sound": True}),
}


@pytest.mark.parametrize("kind", FILMS)
def test_an_index_is_the_stored_frame_at_constant_rate(tmp_path: Path, kind: str) -> None:
    name, settings = FILMS[kind]
    path = film(tmp_path / name, 180, **settings)
    info = probe(path)
    assert (info.width, info.height, info.frames) == (64, 48, 180)
    assert info.fps == pytest.approx(float(settings.get("rate", 25)), rel=1e-3)
    indices = [0, 1, 13, 25, 60, 119, 120, 121, 178, 179]
    for order in (indices, indices[::-1], [119], [179], [0, 179, 0]):
        assert [number_of(picture) for picture in read_frames(path, order)] == order


@pytest.mark.parametrize(("name", "indices"), [("camera", [0, 3, 61, 119]), ("wide", [0, 3, 124, 249])])
def test_a_frame_equals_plain_decoding(clips: dict[str, Path], name: str, indices: list[int]) -> None:
    path = clips[name]
    got = read_frames(path, indices)
    with av.open(str(path)) as container:
        plain = {i: f for i, f in enumerate(container.decode(video=0)) if i in indices}
        for position, index in enumerate(indices):
            expected = plain[index].to_ndarray(format="rgb24", interpolation=INTERPOLATION)
            assert np.array_equal(got[position], expected)


@pytest.mark.parametrize(
    ("name", "size", "frames", "fps"),
    [
        ("wide", (640, 272), 250, 25.0),
        ("camera", (176, 144), 120, 30000 / 1001),
        ("broadcast", (1280, 720), 132, 25.0),
    ],
)
def test_probe_of_real_clips(
    clips: dict[str, Path], name: str, size: tuple[int, int], frames: int, fps: float
) -> None:
    info = probe(clips[name])
    assert (info.width, info.height) == size
    assert (info.frames, info.frames_exact, info.codec) == (frames, True, "h264")
    assert info.fps == pytest.approx(fps)
    assert info.duration_s == pytest.approx(frames / fps)
    assert info.rotation == 0


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
@pytest.mark.parametrize("bframes", ["0", "3"])
def test_a_variable_rate_is_sampled_on_a_regular_grid(tmp_path: Path, name: str, bframes: str) -> None:
    # 20 frames of 50 ms, then 20 of 10 ms, then 10 of 200 ms: 3.2 s at 15.6 frames a second on average.
    durations = [50] * 20 + [10] * 20 + [200] * 10
    times = [sum(durations[:index]) for index in range(len(durations))]
    path = film(tmp_path / name, len(times), times_ms=times, rate=1000, options={"bf": bframes})
    info = probe(path)
    assert (info.frames, info.frames_exact) == (50, True)
    assert info.duration_s == pytest.approx(
        3.1, abs=0.15
    )  # a file need not say how long its last frame stands
    middles_ms = [(index + 0.5) / info.fps * 1000 for index in range(info.frames)]
    expected = [max(i for i, time in enumerate(times) if time <= middle) for middle in middles_ms]
    assert [number_of(picture) for picture in read_frames(path, range(info.frames))] == expected


@pytest.mark.parametrize(("width", "height"), [(177, 145), (1, 1), (3, 50), (65, 48)])
def test_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    path = film(tmp_path / "odd.mkv", [numbered(7, width, height)] * 4, codec="ffv1", pixels="yuv444p")
    info = probe(path)
    assert (info.width, info.height) == (width, height)
    assert read_frames(path, [2]).shape == (1, height, width, 3)
    assert read_frames(path, [2], size=(9, 11)).shape == (1, 9, 11, 3)


def test_odd_sizes_in_h264(tmp_path: Path) -> None:
    path = film(tmp_path / "odd.mp4", [numbered(i, 177, 145) for i in range(30)], pixels="yuv444p")
    (picture,) = read_frames(path, [23])
    assert picture.shape == (145, 177, 3)
    assert number_of(picture) == 23


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_a_still_picture_is_a_video_of_one_frame(tmp_path: Path, ending: str) -> None:
    codec, pixels = {"png": ("png", "rgb24"), "jpg": ("mjpeg", "yuvj420p"), "bmp": ("bmp", "bgr24")}[ending]
    path = film(tmp_path / f"still.{ending}", [numbered(9)], codec=codec, pixels=pixels, form="image2")
    assert probe(path).frames == 1
    assert number_of(read_frames(path, [0])[0]) == 9


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("name", ["bt709", "bt601"])
def test_the_streams_own_colours_are_used(tmp_path: Path, full_range: bool, name: str) -> None:
    colour = np.array([200, 40, 90], dtype=np.uint8)
    matrix, value_range = {"bt709": 1, "bt601": 5}[name], 2 if full_range else 1
    path = tmp_path / "colour.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        stream.codec_context.color_range, stream.codec_context.colorspace = value_range, matrix
        frame = av.VideoFrame.from_ndarray(np.tile(colour, (48, 64, 1)), format="rgb24")
        frame = frame.reformat(format="yuv444p", dst_colorspace=matrix, dst_color_range=value_range)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (picture,) = read_frames(path, [0])
    assert np.abs(picture[24, 32].astype(int) - colour).max() <= 3


def test_a_colour_matrix_that_cannot_be_converted_is_named(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 3, options={"x264-params": "colormatrix=bt2020c"})
    with pytest.raises(InputError, match="cannot convert"):
        read_frames(path, [0])


@pytest.mark.parametrize("indices", [[-1], [60], [0, 1000]])
def test_indices_outside_the_video_are_refused(tmp_path: Path, indices: list[int]) -> None:
    with pytest.raises(UsageError, match="expected 0 to 59"):
        read_frames(film(tmp_path / "a.mp4", 60), indices)


def test_no_index_gives_no_frame(tmp_path: Path) -> None:
    assert read_frames(film(tmp_path / "a.mp4", 10), []).shape == (0, 48, 64, 3)


def test_names_are_taken_literally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "a.mp4", 10)
    monkeypatch.chdir(tmp_path)
    for name in (
        "with space.mp4",
        "file:odd.mp4",
        "http:x.mp4",
        "concat:a|b.mp4",
        "ümlaut.mp4",
        "-dash.mp4",
        "none",
    ):
        target = tmp_path / name
        target.write_bytes(source.read_bytes())
        assert probe(name).frames == 10, name


def test_only_what_is_wanted_is_decoded(tmp_path: Path) -> None:
    path = film(
        tmp_path / "long.mp4",
        [numbered(i % 300) for i in range(3000)],
        options={"g": "25", "preset": "ultrafast"},
    )
    with FrameReader(path) as reader:
        assert number_of(reader.read([2710])[0]) == 2710 % 300
        assert reader.decoded <= 25 + 8
        first = reader.decoded
        reader.read([100, 101, 1500, 2999])
        assert reader.decoded - first <= 3 * (25 + 8) + 100
