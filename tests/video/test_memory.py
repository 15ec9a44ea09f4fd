"""An hour-long file takes no more memory than a short one, and little is decoded of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import film, number_of, numbered

from vmexport.video import FrameReader, probe

HOUR_S = 3600
RATE = 5

MEASURE = """
import resource, sys
from vmexport.config import Architecture
from vmexport.video import load_clips
load_clips(sys.argv[1], Architecture(size=32), views="4x1")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def repeat(source: Path, target: Path, times: int) -> Path:
    """Join a film to itself without encoding again."""
    with av.open(str(target), "w") as out:
        stream: Any = None
        for round_ in range(times):
            with av.open(str(source)) as container:
                picture = container.streams.video[0]
                stream = stream or out.add_stream_from_template(picture)
                shift = picture.duration or 0
                for packet in container.demux(picture):
                    if packet.size and packet.pts is not None and packet.dts is not None:
                        packet.pts, packet.dts = packet.pts + round_ * shift, packet.dts + round_ * shift
                        packet.stream = stream
                        out.mux(packet)
    return target


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 numbered frames, one minute, a key frame every ten seconds."""
    path = tmp_path_factory.mktemp("films") / "minute.mp4"
    return film(path, [numbered(i) for i in range(300)], rate=RATE, options={"g": "50", "bf": "0"})


@pytest.fixture(scope="module")
def hour(minute: Path) -> Path:
    """The minute sixty times over."""
    return repeat(minute, minute.with_name("hour.mp4"), 60)


def test_little_is_decoded_of_an_hour(hour: Path) -> None:
    info = probe(hour)
    assert info.frames == HOUR_S * RATE
    assert info.duration_s == pytest.approx(HOUR_S)
    with FrameReader(hour) as reader:
        wanted = [7, 4321, 9000, 17_999]
        assert [number_of(picture) for picture in reader.read(wanted)] == [index % 300 for index in wanted]
        assert reader.decoded <= len(wanted) * 52


def peak_kib(path: Path) -> int:
    """Peak memory of a fresh process that loads four clips."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_memory_stays_flat(minute: Path, hour: Path) -> None:
    assert peak_kib(hour) - peak_kib(minute) < 12 * 1024


def test_an_hour_in_matroska_needs_no_full_read(minute: Path, tmp_path: Path) -> None:
    path = repeat(minute, tmp_path / "hour.mkv", 60)
    assert probe(path).frames == HOUR_S * RATE
    with FrameReader(path) as reader:
        (picture,) = reader.read([12_345])
        assert number_of(picture) == 12_345 % 300
        assert reader.decoded <= 52


def test_the_result_is_the_only_large_array(minute: Path) -> None:
    import tracemalloc

    with FrameReader(minute) as reader:
        tracemalloc.start()
        try:
            frames = reader.read(np.arange(300), size=(48, 64))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < frames.nbytes + 2**20
