"""Weights and tables before any training: what is drawn, and what is computed."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812

from vmexport.config import Architecture
from vmexport.model.embedding import sinusoid
from vmexport.model.mixer import Mixer
from vmexport.model.network import VideoMamba


def test_mambas_own_initialisation() -> None:
    model = VideoMamba(Architecture(d_model=64, depth=2, size=32, frames=2), seed=0)
    for block in model.blocks:
        mixer = block.mixer
        assert isinstance(mixer, Mixer)
        assert torch.allclose(mixer.A_log.exp(), torch.arange(1.0, 17).expand(2, 128, 16))
        assert torch.equal(mixer.D, torch.ones(2, 128))
        delta = F.softplus(mixer.dt_bias)
        assert delta.min() >= 0.99e-3
        assert delta.max() <= 0.101
        assert not torch.equal(mixer.dt_bias[0], mixer.dt_bias[1])
        assert mixer.dt_proj.abs().max() <= 4**-0.5
    assert 0.015 < model.head.weight.std() < 0.025
    assert not model.head.bias.any()


def test_seedless_draws_differ() -> None:
    small = Architecture(d_model=16, depth=1, size=16, frames=2)
    assert not torch.equal(VideoMamba(small).head.weight, VideoMamba(small).head.weight)


def test_a_seed_draws_the_same_again_also_into_used_weights() -> None:
    small = Architecture(d_model=16, depth=2, size=16, frames=2)
    first, used = VideoMamba(small, seed=3), VideoMamba(small, seed=4)
    assert not torch.equal(first.head.weight, used.head.weight)
    used.reset_parameters(seed=3)
    for name, value in used.state_dict().items():
        assert torch.equal(value, first.state_dict()[name]), name


def test_sinusoid() -> None:
    table = sinusoid(5, 6)
    assert table.shape == (1, 5, 6)
    torch.testing.assert_close(table[0, :, 0], torch.arange(5.0).sin())
    torch.testing.assert_close(table[0, :, 1], torch.arange(5.0).cos())
    torch.testing.assert_close(table[0, 3, 4], torch.tensor(3 / 10000 ** (4 / 6)).sin())
    assert sinusoid(5, 7).shape == (1, 5, 7)
