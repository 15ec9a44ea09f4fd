"""The benchmark of a training step: gradients are compared first, and a wrong one is never timed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
import training_cpu
from small import small_architecture

mixer: Any = import_module("vmexport.model.mixer")


@pytest.fixture
def case() -> training_cpu.Case:
    return training_cpu.Case("small", small_architecture(), clips=2)


def test_a_step_is_measured_against_the_reference(case: training_cpu.Case) -> None:
    row = training_cpu.measure(case, rounds=1)
    assert row["largest_error"] < training_cpu.ACCURACY
    assert set(row["times"]) == set(row["clips_per_s"]) == {"native", "reference autograd"}
    for name, rate in row["clips_per_s"].items():
        assert rate == pytest.approx(2e3 / row["times"][name]["median_ms"])


def test_wrong_gradients_are_refused(
    case: training_cpu.Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = mixer.directional_selective_scan

    def wrong(u: torch.Tensor, *tensors: torch.Tensor, **attributes: Any) -> torch.Tensor:
        y: torch.Tensor = scan(u.detach(), *tensors, **attributes)  # right values, one gradient lost
        return y

    monkeypatch.setattr(mixer, "directional_selective_scan", wrong)
    with pytest.raises(SystemExit) as caught:
        training_cpu.measure(case, rounds=1)
    assert caught.value.code == 6
    assert "the native step differs" in capsys.readouterr().err


def test_the_reference_is_put_back() -> None:
    native = mixer.directional_selective_scan, mixer.causal_conv1d
    with training_cpu.reference_operators():
        assert mixer.directional_selective_scan is not native[0]
    assert (mixer.directional_selective_scan, mixer.causal_conv1d) == native
