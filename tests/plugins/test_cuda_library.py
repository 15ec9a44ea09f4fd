"""The CUDA library of `make cuda-compile` as far as a machine without a GPU can tell: loads, refuses."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from vmexport.native.libraries import ABI_VERSION
from vmexport.ops import abi

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def path(root_dir: Path) -> Path:
    found = root_dir / "build/cuda/capi/libvmexport_scan_cuda.so"
    if not found.exists():
        pytest.skip("no CUDA library; make cuda-compile builds it where nvcc is")
    return found


@pytest.fixture(scope="module")
def library(path: Path) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(path))
    loaded.vmexport_cuda_architectures.restype = ctypes.c_char_p
    for name in ("vmexport_scan_params_size", "vmexport_conv_params_size"):
        getattr(loaded, name).restype = ctypes.c_size_t
    for name in ("vmexport_selective_scan_cuda", "vmexport_causal_conv1d_cuda"):
        getattr(loaded, name).argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    return loaded


def conv(library: ctypes.CDLL, **changes: int) -> tuple[int, str]:
    """Status and message of a small convolution whose pointers are never read."""
    sizes = {"batch": 1, "length": 8, "channels": 8, "taps": 4, "dtype": 0, "x": 64, "weight": 64, "u": 64}
    params = abi.ConvParams(struct_size=ctypes.sizeof(abi.ConvParams), **{**sizes, **changes})
    params.order = abi.TokenOrder.of([0], 1, 0)
    params.x_stride[:] = (64, 8)
    params.u_stride[:] = (64, 64, 8)
    message = ctypes.create_string_buffer(abi.MESSAGE_SIZE)
    status = library.vmexport_causal_conv1d_cuda(ctypes.byref(params), None, message)
    return status, message.value.decode()


def test_structs_and_version_are_ours(library: ctypes.CDLL) -> None:
    assert library.vmexport_abi_version() == ABI_VERSION
    assert library.vmexport_scan_params_size() == ctypes.sizeof(abi.ScanParams)
    assert library.vmexport_conv_params_size() == ctypes.sizeof(abi.ConvParams)


def test_it_says_what_it_was_compiled_for(library: ctypes.CDLL) -> None:
    said = library.vmexport_cuda_architectures().decode()
    assert re.fullmatch(r"(sm_\d+ )+compute_\d+", said)
    assert said == "sm_87 sm_90 compute_90"


def test_only_its_own_symbols_are_seen(path: Path) -> None:
    """Another CUDA runtime in the process (PyTorch's) has functions of the same names."""
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("no nm")
    listed = subprocess.run([nm, "-D", "--defined-only", path], capture_output=True, text=True, check=True)
    names = {line.split()[-1] for line in listed.stdout.splitlines()}
    assert "vmexport_selective_scan_cuda" in names
    assert all(name.startswith("vmexport_") for name in names), names


def test_nothing_to_do_needs_no_gpu(library: ctypes.CDLL) -> None:
    assert conv(library, batch=0) == (abi.OK, "")


def test_bad_input_is_refused_before_the_gpu_is_asked(library: ctypes.CDLL) -> None:
    status, message = conv(library, taps=9)
    assert status == abi.INVALID_ARGUMENT
    assert message == "taps (K): expected 1 to 8, got 9"
    assert library.vmexport_selective_scan_cuda(None, None, None) == abi.INVALID_ARGUMENT


def test_no_gpu_is_an_error_with_a_reason(library: ctypes.CDLL) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    status, message = conv(library)
    assert status == abi.LAUNCH_FAILED
    assert re.search(r"CUDA driver|CUDA-capable device", message)
