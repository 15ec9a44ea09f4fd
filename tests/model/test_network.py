"""The network against the public implementations' logits and an independent oracle; shapes and refusals."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_vim import plain_logits, random_state
from small import noise, small_model

from vmexport.config import Architecture
from vmexport.errors import ShapeError
from vmexport.model import VideoMamba, freeze, load_checkpoint
from vmexport.model.mixer import order_attributes

FIXTURE_TOLERANCE = 1e-4
TINY = Architecture(d_model=16, depth=2, frames=4, size=16, patch_size=8, num_classes=3, d_state=4)


@pytest.mark.parametrize("name", ["opengvlab_videomamba", "opengvlab_videomamba_tubelet2", "vim"])
def test_public_logits(fixtures_dir: Path, name: str) -> None:
    model = load_checkpoint(fixtures_dir / f"{name}.pth", scale=0.5 if name == "vim" else None)
    data = np.load(fixtures_dir / f"{name}_io.npz")
    clips = torch.from_numpy(data["input"])
    clips = clips.unsqueeze(2) if clips.ndim == 4 else clips
    for run in (model, freeze(model)):
        with torch.no_grad():
            logits = run(clips)
        assert torch.isfinite(logits).all()
        torch.testing.assert_close(logits, torch.from_numpy(data["logits"]), rtol=0, atol=FIXTURE_TOLERANCE)


def test_vim_inflated_to_one_layer_equals_the_image_model(fixtures_dir: Path) -> None:
    model = load_checkpoint(fixtures_dir / "vim.pth", frames=2, tubelet=2, scale=0.5)
    data = np.load(fixtures_dir / "vim_io.npz")
    clips = torch.from_numpy(data["input"]).unsqueeze(2).repeat(1, 1, 2, 1, 1)
    with torch.no_grad():
        logits = model(clips)
    torch.testing.assert_close(logits, torch.from_numpy(data["logits"]), rtol=0, atol=FIXTURE_TOLERANCE)


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "vim": ({}, {"place": "middle", "scale": 0.5}),
    "vim odd patches": ({"side": 3}, {"place": "middle", "scale": 0.5}),
    "vim class token first": ({"side": 3}, {"place": "first", "scale": 1.0}),
    "vim without class token": ({"cls": False}, {"place": "none", "scale": 0.5}),
    "vim layer norm": ({"layer_norm": True}, {"place": "middle", "scale": 0.5}),
    "one direction": ({"directions": 1}, {"place": "middle", "scale": 1.0}),
    "other sizes": (
        {"d": 24, "states": 7, "rank": 5, "taps": 3, "expand": 3, "depth": 3},
        {"place": "middle", "scale": 0.5},
    ),
    "opengvlab": ({"tubelet": 1, "layers": 3}, {"place": "first", "scale": 1.0}),
    "opengvlab tubelet 2": ({"tubelet": 2, "layers": 3, "side": 3}, {"place": "first", "scale": 1.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_the_plain_oracle(tmp_path: Path, case: str) -> None:
    sizes, settings = CASES[case]
    state = random_state(**sizes)
    torch.save(state, tmp_path / "model.pth")
    overrides = (
        {} if sizes.get("tubelet") else {"cls_position": settings["place"], "scale": settings["scale"]}
    )
    model = load_checkpoint(tmp_path / "model.pth", **overrides)
    clips = torch.randn(2, *model.architecture.clip_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, frozen = model(clips), freeze(model)(clips)
    expected = plain_logits(state, clips, **settings)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(frozen, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"directions": ("forward", order), "cls_position": place}
        for order in ("spatiotemporal", "spatial", "temporal")
        for place in ("first", "none")
    ]
    + [{"position": kind, "position_on_cls": True} for kind in ("none", "sinusoidal", "learned", "separate")]
    + [{"cls_position": "middle", "scale": 0.5}, {"directions": ("temporal",)}],
)
def test_every_setting_runs_and_batches_agree(settings: dict[str, Any]) -> None:
    architecture = TINY.with_overrides(**settings)
    clips = torch.randn(2, *architecture.clip_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model = VideoMamba(architecture, seed=0)
        logits = model(clips)
        assert logits.shape == (2, 3)
        assert logits.dtype == torch.float32
        assert torch.isfinite(logits).all()
        torch.testing.assert_close(logits[1:], model(clips[1:]), rtol=1e-4, atol=1e-6)


def test_scan_orders_change_the_function() -> None:
    clips = torch.randn(1, *TINY.clip_shape, generator=torch.Generator().manual_seed(0))
    found = []
    for order in ("forward", "spatiotemporal", "spatial", "temporal"):
        model = VideoMamba(TINY.with_overrides(directions=("forward", order)), seed=0)
        with torch.no_grad():
            found.append(model(clips))
    for i, left in enumerate(found):
        for right in found[i + 1 :]:
            assert (left - right).abs().max() > 1e-7


def test_order_attributes() -> None:
    first = order_attributes(TINY)
    assert first == {"directions": (0, 1), "tokens_per_frame": 4, "class_token": 1}
    none = order_attributes(TINY.with_overrides(cls_position="none"))
    assert none == {"directions": (0, 1), "tokens_per_frame": 4, "class_token": 0}
    middle = order_attributes(TINY.with_overrides(cls_position="middle"))
    assert middle == {"directions": (0, 1), "tokens_per_frame": 9, "class_token": 0}


@pytest.mark.parametrize("shape", [(3, 4, 16, 16), (1, 3, 4, 16, 8), (1, 4, 3, 16, 16), (1, 3, 2, 16, 16)])
def test_wrong_clips_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected \(B, 3, 4, 16, 16\), got"):
        VideoMamba(TINY)(torch.zeros(shape))


def test_integer_clips_are_refused() -> None:
    with pytest.raises(ShapeError, match="normalised float32"):
        VideoMamba(TINY)(torch.zeros(1, *TINY.clip_shape, dtype=torch.uint8))


def test_gradients_reach_every_parameter() -> None:
    model = VideoMamba(TINY.with_overrides(position_on_cls=True), seed=0)
    model(torch.randn(1, *TINY.clip_shape)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_full_size_runs() -> None:
    model = freeze(VideoMamba(Architecture(), seed=0))
    with torch.no_grad():
        logits = model(torch.randn(1, *model.architecture.clip_shape))
    assert logits.shape == (1, 400)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    "settings", [{}, {"norm": "layer"}, {"cls_position": "none"}, {"cls_position": "middle"}]
)
def test_in_float64_it_is_the_same_function(settings: dict[str, Any]) -> None:
    model = small_model(**settings)
    clips = torch.from_numpy(noise(model.architecture, 2))
    expected = model(clips)
    double = copy.deepcopy(model).double()
    logits = double(clips.double())
    assert logits.dtype == double(clips).dtype == torch.float64
    torch.testing.assert_close(logits.float(), expected, rtol=1e-4, atol=1e-4)
    logits.sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all() for parameter in double.parameters()
    )


def test_gradients_for_each_sample_by_torch_func() -> None:
    """The recipe of PyTorch's documentation: vmap of grad of functional_call."""
    model = small_model()
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    clips = torch.from_numpy(noise(model.architecture, 2))

    def loss(given: dict[str, torch.Tensor], clip: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = torch.func.functional_call(model, given, (clip[None],))
        return logits.square().sum()

    got = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, clips)
    for index, clip in enumerate(clips):
        model.zero_grad()
        torch.autograd.backward(loss(dict(model.named_parameters()), clip))
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            torch.testing.assert_close(got[name][index], parameter.grad, rtol=1e-4, atol=1e-5)
