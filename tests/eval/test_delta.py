"""Maps of delta against the network's own parts, and files that a player opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from films import write_demo_clip
from labelled import FRAMES
from small import small_model
from typer.testing import CliRunner

from vmexport.cli.main import app
from vmexport.errors import InputError, UsageError
from vmexport.eval import delta_maps
from vmexport.eval.delta_plot import write_delta
from vmexport.eval.step_sizes import default_layers
from vmexport.model import save_checkpoint
from vmexport.model.embedding import class_index
from vmexport.video import load_clips


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_clip(tmp_path_factory.mktemp("films") / "demo.mp4", width=64, height=48, frames=40)


@pytest.mark.parametrize("cls_position", ["first", "middle", "none"])
def test_a_map_is_the_mean_of_the_networks_own_delta(video: Path, cls_position: str) -> None:
    model = small_model(frames=FRAMES, size=48, depth=3, cls_position=cls_position)
    maps = delta_maps(model, video, layers=[2, 0])
    assert maps.source == f"VideoMamba, {video.name}"
    a = model.architecture
    assert maps.values.shape == (2, 2, *a.grid)
    assert (maps.layers, maps.directions, maps.tubelet) == ((2, 0), ("forward", "spatiotemporal"), 2)
    caught: dict[int, torch.Tensor] = {}
    for number in maps.layers:
        block: Any = model.blocks[number]
        block.mixer.register_forward_hook(
            lambda _module, given, _output, number=number: caught.update({number: given[0]})
        )
    with torch.inference_mode():
        model(torch.from_numpy(load_clips(video, a, model.info.preprocessing)))
    for number, found in zip(maps.layers, maps.values, strict=True):
        expected = _delta_of(model.blocks[number], caught[number])  # (S, L)
        if a.has_cls:
            expected = np.delete(expected, class_index(a), axis=1)
        np.testing.assert_allclose(found, expected.reshape(2, *a.grid), rtol=1e-4)


def _delta_of(block: Any, hidden: torch.Tensor) -> Any:
    """Mean of delta over channels, direction by direction, from the definition."""
    from vmexport.ops.reference import causal_conv1d_reference

    mixer = block.mixer
    with torch.inference_mode():
        x = mixer.in_proj(hidden).chunk(2, dim=-1)[0]
        u = causal_conv1d_reference(x, mixer.conv_weight, mixer.conv_bias, **mixer.order)
        rows = []
        for s in range(u.shape[0]):
            low_rank = u[s, 0] @ mixer.x_proj[s, : mixer.rank].T
            raw = low_rank @ mixer.dt_proj[s].T + mixer.dt_bias[s]
            rows.append(torch.log1p(torch.exp(raw.double())).mean(dim=-1).numpy())
    return np.stack(rows)


def test_default_layers_spread_over_the_depth() -> None:
    assert default_layers(24) == (0, 8, 15, 23)
    assert default_layers(2) == (0, 1)
    assert default_layers(1) == (0,)


def test_the_pictures_are_what_the_model_saw(video: Path) -> None:
    model = small_model(frames=FRAMES)
    maps = delta_maps(model, video)
    clip = load_clips(video, model.architecture, model.info.preprocessing)[0]
    mean, std = model.info.preprocessing.mean, model.info.preprocessing.std
    back = (clip.transpose(1, 2, 3, 0) * std + mean) * 255
    np.testing.assert_allclose(maps.frames, back, atol=0.51)


@pytest.mark.parametrize("layers", [[2], [-1], []])
def test_layers_that_are_not_there_are_refused(video: Path, layers: list[int]) -> None:
    with pytest.raises(UsageError, match="it has 2, counted from 0 to 1"):
        delta_maps(small_model(frames=FRAMES), video, layers=layers)


def test_delta_that_is_not_finite_is_an_error(video: Path) -> None:
    model = small_model(frames=FRAMES)
    with torch.no_grad():
        next(model.blocks[1].parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        delta_maps(model, video)


def test_a_picture_and_a_film(video: Path, tmp_path: Path) -> None:
    maps = delta_maps(small_model(frames=FRAMES), video)
    write_delta(maps, tmp_path / "delta.png")
    assert (tmp_path / "delta.png").read_bytes().startswith(b"\x89PNG")
    write_delta(maps, tmp_path / "delta.mp4")
    with av.open(str(tmp_path / "delta.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES // 2
    with pytest.raises(UsageError, match=r"ends in \.png or \.mp4"):
        write_delta(maps, tmp_path / "delta.gif")


def test_the_command(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoint(small_model(frames=FRAMES), tmp_path / "model.safetensors")
    done = CliRunner().invoke(app, ["delta", "model.safetensors", str(video), "--layers", "1,0"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "delta.png").is_file()
    for wrong in ("one", "5"):
        assert (
            CliRunner().invoke(app, ["delta", "model.safetensors", str(video), "--layers", wrong]).exit_code
            == 2
        )
    assert CliRunner().invoke(app, ["delta", "model.safetensors", "nowhere.mp4"]).exit_code == 4
