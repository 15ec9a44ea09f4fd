"""mamba-ssm as a peer: the ways it is called compute what our operators and networks compute."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import gpu_operator
import peers_mamba
import pytest
import torch
from cases import to_numpy
from fake_mamba import FakeMamba
from gpu_model import with_mamba
from peer_sources import SDIST_VARIABLE, PeerMissing, find_sdist
from small import noise, small_model
from tolerances import OPERATOR, assert_close

from vmexport.model import freeze
from vmexport.ops.reference import causal_conv1d_reference
from vmexport.runtime.tolerance import TOLERANCES, compare_logits


def test_flips_and_sum_are_the_bidirectional_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_operator, "D", 6)
    setting = gpu_operator.Setting(batch=2, length=9, dtype="fp32")
    inputs = gpu_operator.make_inputs(setting, torch.device("cpu"), seed=1)
    monkeypatch.setattr(gpu_operator, "REFERENCE_CHANNELS", 4)  # the last part is a smaller one
    layout: dict[str, Any] = gpu_operator.mamba_layout(inputs)
    got = peers_mamba.bidirectional_scan(FakeMamba(), **layout).transpose(1, 2)
    assert_close(to_numpy(got), to_numpy(gpu_operator.reference(inputs)), OPERATOR["float32"])


def test_parity_is_measured_against_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_operator, "D", 6)
    inputs = gpu_operator.make_inputs(gpu_operator.Setting(1, 9, "fp16"), torch.device("cpu"), seed=1)
    assert inputs["u"].dtype == torch.float16
    assert gpu_operator.reference(inputs).dtype == torch.float64


@pytest.mark.parametrize("batch", [1, 3])
def test_a_network_in_mambas_layout_gives_the_same_logits(batch: int) -> None:
    model = small_model(scale=0.5)
    frozen = freeze(model)
    clips = torch.from_numpy(noise(model.architecture, batch))
    fake = FakeMamba()
    with torch.inference_mode():
        want, got = frozen(clips).numpy(), with_mamba(frozen, fake)(clips).numpy()
    assert fake.calls == ["fwd"] * 2 * model.architecture.depth
    assert compare_logits(want, got).within(TOLERANCES["fp32"])


def test_the_plain_convolution_is_ours() -> None:
    x, weight, bias = torch.randn(2, 9, 5), torch.randn(5, 4), torch.randn(5)
    order: dict[str, Any] = {"directions": (0,), "tokens_per_frame": 1, "class_token": 0}
    want = causal_conv1d_reference(x, weight[None], bias[None], **order)[0]
    got = peers_mamba.plain_conv(x.transpose(1, 2), weight, bias).transpose(1, 2)
    assert_close(to_numpy(got), to_numpy(want), OPERATOR["float32"])


def test_the_newest_source_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SDIST_VARIABLE, raising=False)
    for version in ("2.2.4", "2.3.2"):
        (tmp_path / f"mamba_ssm-{version}.tar.gz").touch()
    assert find_sdist(tmp_path).name == "mamba_ssm-2.3.2.tar.gz"
    other = tmp_path / "elsewhere.tar.gz"
    monkeypatch.setenv(SDIST_VARIABLE, str(other))
    with pytest.raises(PeerMissing, match="is no file"):
        find_sdist(tmp_path)
    other.touch()
    assert find_sdist(tmp_path) == other


def test_a_missing_peer_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SDIST_VARIABLE, raising=False)
    monkeypatch.setattr(peers_mamba, "PEERS", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PeerMissing, match="make gpu-peers"):
        peers_mamba.load_mamba()


def test_a_damaged_source_is_a_missing_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mamba_ssm-2.3.2.tar.gz").write_bytes(b"no archive")
    monkeypatch.delenv(SDIST_VARIABLE, raising=False)
    monkeypatch.setattr(peers_mamba, "PEERS", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PeerMissing, match="does not build"):
        peers_mamba.load_mamba()
