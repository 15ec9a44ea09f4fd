"""How a row of the GPU benchmarks comes about, on the CPU: parity decides who is timed at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import gpu_common
import gpu_model
import gpu_operator
import pytest
import torch
from fake_mamba import FakeMamba
from small import noise, small_model

from vmexport.model import freeze


class WrongMamba(FakeMamba):
    """Forgets the gate."""

    def fwd(self, *arguments: Any) -> list[torch.Tensor]:
        out, x, gated = super().fwd(*arguments)
        return [out, x, out + 0 * gated]


def run_once(runs: Mapping[str, Callable[[], None]], calls: int, **_: Any) -> dict[str, dict[str, float]]:
    """Stands for the timing: everything that would be timed has to run."""
    for run in runs.values():
        run()
    return {name: {"median_ms": 1.0, "fastest_ms": 1.0} for name in runs}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The CPU in place of a GPU."""
    for module in (gpu_operator, gpu_model):
        monkeypatch.setattr(module, "captured", gpu_common.in_order)
        monkeypatch.setattr(module, "device_times", run_once)
    monkeypatch.setattr(gpu_operator, "D", 6)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(L2_cache_size=0))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 3)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 10)
    return torch.device("cpu")


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_a_row_of_the_operator(host: torch.device, dtype: str) -> None:
    row = gpu_operator.measure(gpu_operator.Setting(2, 9, dtype), host, FakeMamba())
    assert set(row["times"]) == {gpu_operator.OURS, gpu_operator.EAGER, gpu_operator.MAMBA}
    assert row["times"][gpu_operator.OURS]["median_us"] == 1000
    assert all(0 < error <= gpu_operator.ACCURACY[dtype] for error in row["relative_l2"].values())
    assert (row["batch"], row["length"], row["dtype"], row["inputs"]) == (2, 9, dtype, 2)


def test_a_peer_that_computes_otherwise_is_not_timed(host: torch.device) -> None:
    row = gpu_operator.measure(gpu_operator.Setting(1, 9, "fp32"), host, WrongMamba())
    assert gpu_operator.MAMBA not in row["times"]
    assert row["relative_l2"][gpu_operator.MAMBA] > 0.1


def test_without_a_peer_we_run_alone(host: torch.device) -> None:
    row = gpu_operator.measure(gpu_operator.Setting(1, 9, "fp32"), host, None)
    assert set(row["relative_l2"]) == {gpu_operator.OURS}


def test_a_gpu_too_small_for_a_row_skips_it(
    host: torch.device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(gpu_operator, "make_inputs", full)
    row = gpu_operator.measure_or_skip(gpu_operator.Setting(8, 12545, "fp32"), host, None)
    gpu_operator.show(row)
    assert "fp32: not enough GPU memory" in capsys.readouterr().out
    assert not gpu_operator.goals([row], "h200")


def model_row(kernel: Any) -> dict[str, Any]:
    model = small_model()
    clips = [torch.from_numpy(noise(model.architecture, 2, seed)) for seed in (1, 2)]
    with torch.inference_mode():
        with gpu_model.reference_operators():
            expected = freeze(model)(clips[0])
        return gpu_model.measure(model, expected, clips, "fp32", kernel)


@pytest.mark.usefixtures("host")
def test_a_row_of_the_model() -> None:
    row = model_row(FakeMamba())
    names = {f"{who}, {how}" for who in ("vmexport", "mamba-ssm") for how in ("eager", "CUDA graph")}
    assert set(row["times"]) == {*names, "PyTorch alone, eager"}
    assert all(value["passed"] for value in row["parity"].values())
    assert (row["batch"], row["precision"], row["working_memory_bytes"]["vmexport"]) == (2, "fp32", 7)


@pytest.mark.usefixtures("host")
def test_a_model_that_computes_otherwise_is_not_timed(capsys: pytest.CaptureFixture[str]) -> None:
    row = model_row(WrongMamba())
    assert not any(name.startswith("mamba-ssm") for name in row["times"])
    gpu_model.show(row)
    assert "mamba-ssm                no number" in capsys.readouterr().out
