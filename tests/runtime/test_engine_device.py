"""The GPU as CUDA describes it, and the reasons why there is none."""

from __future__ import annotations

import sys

import pytest
from fake_cuda import FakeCuda, cudaError_t

from vmexport.errors import EnvironmentProblem
from vmexport.runtime.tensorrt.cudart import Cuda
from vmexport.runtime.tensorrt.device import Gpu, find_gpu, gpu_or_reason, memory_bytes


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", fake)
    return fake


def test_a_gpu(cuda: FakeCuda) -> None:
    assert find_gpu() == Gpu("Fake Orin", "8.7", "12.6", "13.0")
    assert gpu_or_reason() == (find_gpu(), "")
    assert memory_bytes() == (1 << 30, 1 << 30)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (cudaError_t.cudaErrorInsufficientDriver, "no NVIDIA driver"),
        (cudaError_t.cudaErrorNoDevice, "no NVIDIA GPU"),
        (cudaError_t.cudaErrorLaunchFailure, "CUDA failed"),
    ],
)
@pytest.mark.parametrize("present", [False, True])
def test_no_gpu(
    status: cudaError_t, words: str, present: bool, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmexport.native.gpu.present", lambda: present)
    cuda.failing["cudaGetDeviceCount"] = status
    with pytest.raises(EnvironmentProblem, match=words) as caught:
        find_gpu()
    assert ("is not usable" if present else "no GPU was found") in caught.value.why
    assert "nvidia-smi" in caught.value.fix
    gpu, reason = gpu_or_reason()
    assert gpu is None
    assert status.name in reason


def test_a_driver_that_counts_nothing(cuda: FakeCuda) -> None:
    cuda.count = 0
    assert gpu_or_reason() == (None, "there is no NVIDIA GPU here: CUDA counts 0 devices")


def test_the_place_of_older_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    monkeypatch.setitem(sys.modules, "cuda.cudart", FakeCuda())
    assert find_gpu().name == "Fake Orin"


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda.bindings.runtime", "cuda.cudart"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EnvironmentProblem, match="pip install cuda-python"):
        Cuda()


def test_the_real_package_on_this_machine() -> None:
    """Either it describes a GPU, or it says why not."""
    pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
    gpu, reason = gpu_or_reason()
    assert reason if gpu is None else gpu.compute_capability.count(".") == 1
