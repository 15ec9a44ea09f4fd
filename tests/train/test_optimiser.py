"""Which parameters decay, and the learning rate of each step."""

from __future__ import annotations

import math

import pytest
from small import small_model

from vmexport.train import Recipe
from vmexport.train.optimiser import decays, learning_rate, make_optimiser


def test_norms_biases_and_the_scan_do_not_decay() -> None:
    model = small_model()
    decaying = {name for name, _ in model.named_parameters() if decays(name)}
    assert {name.split(".")[-2] + "." + name.split(".")[-1] for name in decaying} == {
        "patch.weight",
        "in_proj.weight",
        "out_proj.weight",
        "head.weight",
        "mixer.conv_weight",
        "mixer.x_proj",
        "mixer.dt_proj",
    }


def test_every_parameter_is_in_one_group() -> None:
    model = small_model(position="separate")
    optimiser = make_optimiser(model, Recipe(weight_decay=0.1))
    grouped = [p for group in optimiser.param_groups for p in group["params"]]
    assert len(grouped) == len(set(map(id, grouped))) == len(list(model.parameters()))
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.1, 0.0]


def test_linear_warm_up_then_half_a_cosine() -> None:
    recipe = Recipe(epochs=5, warmup_epochs=1, learning_rate=1.0, minimum_rate=0.0)
    rates = [learning_rate(step, 4, recipe) for step in range(20)]
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates[4:] == pytest.approx([(1 + math.cos(math.pi * n / 15)) / 2 for n in range(16)])
    assert rates[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0.0), (1, 1.0), (1, 5.0), (2, 0.5)])
def test_odd_lengths_stay_between_the_rates(epochs: int, warmup: float) -> None:
    recipe = Recipe(epochs=epochs, warmup_epochs=warmup, learning_rate=1.0, minimum_rate=0.1)
    for per_epoch in (1, 3):
        for step in range(epochs * per_epoch):
            assert 0.1 <= learning_rate(step, per_epoch, recipe) <= 1.0
