"""The way of CUDA tensors to their kernels, as far as a machine without a GPU can follow it.

The launches themselves are in test_cuda.py (marked `gpu`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from backends import built_library, forget_loaded_libraries, native_library
from cases import CONV_CASES, SCAN_CASES, ConvCase, ScanCase, to_torch

import vmexport
from vmexport.errors import EnvironmentProblem, ExitCode, OutOfMemory, ShapeError
from vmexport.native.loading import CUDA_LIBRARY
from vmexport.ops import abi, causal_conv1d, directional_selective_scan, torch_ops
from vmexport.ops.buffer import Buffer
from vmexport.ops.native import load_native
from vmexport.ops.native_cuda import CudaLibrary, load_native_cuda
from vmexport.ops.schema import TokenOrder

STREAM = 0xABCD
SCAN = ScanCase("cuda", L=9, D=5, N=4, directions=(0, 2), class_token=1, tokens_per_frame=4, B=2)
ORDER: Any = (SCAN.directions, SCAN.tokens_per_frame, SCAN.class_token, SCAN.scale, SCAN.delta_softplus)

needs_cpu_kernels = pytest.mark.skipif(native_library() is None, reason="the native kernels are not built")
LIBRARY = built_library(CUDA_LIBRARY)
needs_library = pytest.mark.skipif(LIBRARY is None, reason=f"{CUDA_LIBRARY} is not built")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


class OnTheCpu:
    """Stands for the loaded library: same calls, same memory, computed by the CPU kernels."""

    def __init__(self) -> None:
        self.streams: list[int] = []

    def scan(self, *tensors: Any, stream: int, **how: Any) -> None:
        self.streams.append(stream)
        load_native().scan(*tensors, **how)

    def conv(self, *tensors: Any, stream: int, **how: Any) -> None:
        self.streams.append(stream)
        load_native().conv(*tensors, **how)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> OnTheCpu:
    """The CUDA front end on CPU tensors."""
    fake = OnTheCpu()
    inside: list[torch.device] = []

    @contextmanager
    def current_stream(device: torch.device) -> Iterator[int]:
        inside.append(device)
        yield STREAM

    monkeypatch.setattr(torch_ops, "load_native_cuda", lambda: fake)
    monkeypatch.setattr(torch_ops, "current_stream", current_stream)
    return fake


@needs_cpu_kernels
@pytest.mark.parametrize("case", SCAN_CASES[4:8] + SCAN_CASES[14:18], ids=lambda case: case.name)
def test_a_scan_arrives_whole(library: OnTheCpu, case: ScanCase) -> None:
    tensors: Any = [to_torch(array) for array in case.inputs().values()]
    order: Any = (case.directions, case.tokens_per_frame, case.class_token, case.scale, case.delta_softplus)
    for got, want in zip(
        torch_ops._scan_cuda(*tensors, *order), torch_ops._scan_cpu(*tensors, *order), strict=True
    ):
        assert torch.equal(got, want)
    assert library.streams == [STREAM]


@needs_cpu_kernels
@pytest.mark.parametrize("case", CONV_CASES[:4], ids=lambda case: case.name)
def test_a_convolution_arrives_whole(library: OnTheCpu, case: ConvCase) -> None:
    tensors: Any = [to_torch(array) for array in case.inputs().values()]
    order: Any = (case.directions, case.tokens_per_frame, case.class_token)
    assert torch.equal(torch_ops._conv_cuda(*tensors, *order), torch_ops._conv_cpu(*tensors, *order))
    assert library.streams == [STREAM]


def test_float64_needs_no_kernels(library: OnTheCpu) -> None:
    tensors: Any = [to_torch(array, torch.float64) for array in SCAN.inputs().values()]
    y, _ = torch_ops._scan_cuda(*tensors, *ORDER)
    assert y.dtype == torch.float64
    assert not library.streams


@needs_cpu_kernels
@pytest.mark.parametrize("shape", [(0, 9), (2, 0)], ids=["no_batch", "no_tokens"])
def test_an_empty_call_leaves_the_state_at_zero(library: OnTheCpu, shape: tuple[int, int]) -> None:
    batch, length = shape
    case = ScanCase("empty", L=length, D=3, N=2, B=batch)
    tensors: Any = [to_torch(array) for array in case.inputs().values()]
    order: Any = ((0, 1), 1, 0, 1.0, True)
    y, state = torch_ops._scan_cuda(*tensors, *order)
    assert y.shape == (batch, length, 3)
    assert state.shape == (2, batch, 3, 2)
    assert not state.any()


CALLS: dict[str, Callable[..., Any]] = {
    "traced": lambda tensors: directional_selective_scan(*tensors, **SCAN.order),
    "cuda": lambda tensors: torch_ops._scan_cuda(*tensors, *ORDER),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["delta", "A", "BC", "D", "delta_bias", "z"])
def test_tensors_of_different_devices_are_refused(call: str, name: str) -> None:
    """`meta` stands for the second device."""
    tensors = {key: to_torch(array) for key, array in SCAN.inputs().items()}
    tensors[name] = tensors[name].to("meta")
    with pytest.raises(ShapeError, match=f"{name}: expected device cpu like .*, got meta") as caught:
        CALLS[call](list(tensors.values()))
    assert caught.value.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_convolution_across_devices_is_refused(name: str) -> None:
    case = CONV_CASES[0]
    tensors = {key: to_torch(array) for key, array in case.inputs().items()}
    tensors[name] = tensors[name].to("meta")
    with pytest.raises(ShapeError, match=f"{name}: expected device cpu"):
        causal_conv1d(*tensors.values(), **case.order)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty installation; the path of the library that it lacks."""
    folder = tmp_path / "package" / "_native"
    folder.mkdir(parents=True)
    monkeypatch.setattr(vmexport, "__path__", [str(folder.parent)])
    forget_loaded_libraries()
    yield folder / CUDA_LIBRARY
    forget_loaded_libraries()


@pytest.mark.usefixtures("installation")
def test_a_missing_library_is_an_error_that_says_how_to_build_it() -> None:
    """No silent fall back to the reference, which is hundreds of times slower."""
    tensors: Any = [to_torch(array) for array in SCAN.inputs().values()]
    with pytest.raises(EnvironmentProblem, match=CUDA_LIBRARY) as caught:
        torch_ops._scan_cuda(*tensors, *ORDER)
    assert caught.value.fix == "vmexport plugin build --cuda on"
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


def test_a_damaged_library_is_refused(installation: Path) -> None:
    installation.write_bytes(b"\x7fELF and then nothing")
    with pytest.raises(EnvironmentProblem, match="plugin build --cuda on"):
        load_native_cuda()


@pytest.mark.parametrize(
    ("status", "kind", "fix"),
    [
        (abi.INVALID_ARGUMENT, ShapeError, ""),
        (abi.OUT_OF_MEMORY, OutOfMemory, "smaller batch"),
        (abi.UNSUPPORTED, EnvironmentProblem, "plugin build --cuda on"),
        (abi.LAUNCH_FAILED, EnvironmentProblem, "nvidia-smi"),
    ],
)
def test_a_status_becomes_an_error(status: int, kind: type[Exception], fix: str) -> None:
    error = object.__new__(CudaLibrary)._error("selective_scan", status, "device: something happened")
    assert type(error) is kind
    assert "device: something happened" in str(error)
    assert fix in error.fix


@pytest.mark.compiled
@needs_library
def test_the_library_loads_without_a_driver() -> None:
    library = CudaLibrary(cast(Path, LIBRARY))
    assert library.version()
    assert any(word.startswith(("sm_", "compute_")) for word in library.architectures().split())


@pytest.mark.compiled
@needs_library
@without_gpu
@pytest.mark.parametrize("operator", ["scan", "conv"])
def test_a_call_without_a_gpu_is_an_explained_error(operator: str) -> None:
    """Host memory stands for device memory: nothing may get as far as touching it."""
    case = SCAN if operator == "scan" else CONV_CASES[1]
    out = np.zeros(
        (case.B, case.L, case.D) if operator == "scan" else (2, case.B, case.L, case.D), np.float32
    )
    arrays = (*case.inputs().values(), out)
    tensors = [None if array is None else Buffer.of_numpy(array) for array in arrays]
    with pytest.raises(EnvironmentProblem) as caught:
        getattr(CudaLibrary(cast(Path, LIBRARY)), operator)(*tensors, order=TokenOrder(**case.order))
    assert "could not be launched" in caught.value.what
    assert re.search("driver|device", caught.value.why)
    assert "nvidia-smi" in caught.value.fix
