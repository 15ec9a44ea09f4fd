"""Dropped paths, recomputed activations and averaged weights leave the model's function alone."""

from __future__ import annotations

import copy

import pytest
import torch
from small import noise, small_model

from vmexport.train.regularise import DropPath, MovingAverage, attach_drop_path, recompute_activations


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    module = torch.nn.Identity().train()
    torch.manual_seed(0)
    out = DropPath(0.25)(module, (), torch.ones(4000, 3, 2))
    per_sample = out.flatten(1)
    assert torch.equal(per_sample, per_sample[:, :1].expand_as(per_sample))
    assert sorted(set(per_sample[:, 0].tolist())) == pytest.approx([0, 4 / 3])
    assert out.mean() == pytest.approx(1, abs=0.03)


def test_drop_path_is_for_training_alone_and_adds_no_parameters() -> None:
    model = small_model()
    clips = torch.from_numpy(noise(model.architecture, 3))
    plain, names = model(clips), set(model.state_dict())
    attach_drop_path(model, 0.9)
    assert torch.equal(model(clips), plain)
    assert set(model.state_dict()) == names
    model.train()
    torch.manual_seed(0)
    assert not torch.equal(model(clips), plain)


def test_recomputing_gives_the_same_gradients_dropped_paths_included() -> None:
    gradients = []
    for recompute in (False, True):
        model = small_model().train()
        attach_drop_path(model, 0.5)
        if recompute:
            recompute_activations(model)
        torch.manual_seed(7)
        model(torch.from_numpy(noise(model.architecture, 4))).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert a is not None
        assert b is not None
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)


def test_moving_average() -> None:
    model = small_model()
    start = copy.deepcopy(model.state_dict())
    average = MovingAverage(model, decay=0.5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    average.update(model, step=1)  # (1 + 1) / (10 + 1) is below 0.5
    for name, value in average.model.state_dict().items():
        torch.testing.assert_close(value, start[name] + 9 / 11)
    average.update(model, step=1000)
    for name, value in average.model.state_dict().items():
        torch.testing.assert_close(value, start[name] + (9 / 11 + 1) / 2)
    assert not average.model.training
