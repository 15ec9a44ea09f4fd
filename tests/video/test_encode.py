from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from films import draw_frame, write_demo_clip

from vmexport.errors import EnvironmentProblem, InputError, UsageError
from vmexport.video import probe, read_frames


def test_the_demo_clip_is_what_was_drawn(tmp_path: Path) -> None:
    path = write_demo_clip(tmp_path / "demo.mp4")
    info = probe(path)
    assert (info.width, info.height, info.frames, info.fps, info.codec) == (320, 240, 64, 25.0, "h264")
    (picture,) = read_frames(path, [40])
    difference = picture.astype(int) - draw_frame(40, 320, 240)
    assert np.abs(difference).mean() < 6


def test_it_moves_and_is_seeded(tmp_path: Path) -> None:
    assert np.array_equal(draw_frame(3, 64, 48, seed=1), draw_frame(3, 64, 48, seed=1))
    assert not np.array_equal(draw_frame(3, 64, 48, seed=1), draw_frame(4, 64, 48, seed=1))
    assert not np.array_equal(draw_frame(3, 64, 48, seed=1), draw_frame(3, 64, 48, seed=2))
    first = write_demo_clip(tmp_path / "a.mp4", width=64, height=48, frames=8)
    second = write_demo_clip(tmp_path / "b.mp4", width=64, height=48, frames=8)
    assert first.read_bytes() == second.read_bytes()


def test_wrong_sizes_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="even sides"):
        write_demo_clip(tmp_path / "a.mp4", width=63)
    with pytest.raises(InputError, match="could not write"):
        write_demo_clip(tmp_path / "none" / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(EnvironmentProblem, match="libx264"):
        write_demo_clip(tmp_path / "a.mp4")
