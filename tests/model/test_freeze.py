"""The inference form: same function, float32 islands, traceable with a dynamic batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vmexport.config import Architecture
from vmexport.errors import UsageError
from vmexport.model import FrozenVideoMamba, VideoMamba, freeze

TINY = Architecture(d_model=16, depth=3, frames=4, size=16, patch_size=8, num_classes=3, d_state=4)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"cls_position": "middle", "scale": 0.5, "position_on_cls": True},
    {"cls_position": "none", "position": "none"},
    {"position": "separate", "position_on_cls": True, "tubelet": 1},
    {"position": "sinusoidal", "norm": "layer"},
    {"depth": 1},
]


def clips_for(architecture: Architecture, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, *architecture.clip_shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("settings", SETTINGS)
def test_same_function(settings: dict[str, Any]) -> None:
    model = VideoMamba(TINY.with_overrides(**settings), seed=0)
    with torch.no_grad():
        expected = model(clips_for(model.architecture))
        got = freeze(model)(clips_for(model.architecture))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS)
def test_half_precision_is_close_and_returns_float32(settings: dict[str, Any]) -> None:
    model = VideoMamba(TINY.with_overrides(**settings), seed=0)
    with torch.no_grad():
        expected = model(clips_for(model.architecture))
        got = freeze(model, "fp16")(clips_for(model.architecture))
    assert got.dtype == torch.float32
    assert torch.isfinite(got).all()
    torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-3)


def test_islands_stay_float32() -> None:
    frozen = freeze(VideoMamba(TINY, seed=0), "fp16")
    half = {name for name, tensor in frozen.state_dict().items() if tensor.dtype == torch.float16}
    products = ("x_weight", "z_weight", "x_proj", "dt_proj", "out_weight")
    expected = {f"blocks.{i}.mixer.{name}" for i in range(TINY.depth) for name in products}
    assert half == expected | {"embedding.patch_weight"}
    assert frozen.info.precision == "fp16"


def test_the_model_is_left_alone() -> None:
    model = VideoMamba(TINY, seed=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    frozen = freeze(model)
    for tensor in [*frozen.parameters(), *frozen.buffers()]:
        assert not tensor.requires_grad
        tensor.zero_()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_block_streams() -> None:
    model = VideoMamba(TINY, seed=0)
    frozen = freeze(model)
    seen: list[torch.Tensor] = []
    for block in frozen.blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        streams = frozen.forward_blocks(clips_for(TINY))
        logits = frozen.head(frozen.norm(streams[-1]))
        torch.testing.assert_close(logits, model(clips_for(TINY)), rtol=1e-5, atol=1e-6)
    assert [tuple(stream.shape) for stream in streams] == [(2, TINY.tokens, 16)] * TINY.depth + [(2, 16)]
    assert all(torch.equal(a, b) for a, b in zip(seen, streams[:-1], strict=True))


def test_unknown_precision() -> None:
    with pytest.raises(UsageError, match="expected one of fp32, fp16"):
        freeze(VideoMamba(TINY), "int8")


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_traces_with_a_dynamic_batch(settings: dict[str, Any], precision: str) -> None:
    frozen = freeze(VideoMamba(TINY.with_overrides(**settings), seed=0), precision)
    assert isinstance(frozen, FrozenVideoMamba)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        frozen, (clips_for(frozen.architecture),), dynamic_shapes={"clips": {0: batch}}, strict=False
    )
    for size in (1, 3):
        clips = clips_for(frozen.architecture, size)
        torch.testing.assert_close(program.module()(clips), frozen(clips), rtol=0, atol=0)
