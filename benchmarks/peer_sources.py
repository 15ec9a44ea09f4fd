"""mamba-ssm's source distribution: where it lies, and how its own build compiles it. No torch is needed."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

SDIST_VARIABLE = "VMEXPORT_MAMBA_SDIST"
STUB = "no_backward.cpp"
FLAGS = (
    "-O3", "-std=c++17", "--use_fast_math", "--expt-relaxed-constexpr", "--expt-extended-lambda",
    "-U__CUDA_NO_HALF_OPERATORS__", "-U__CUDA_NO_HALF_CONVERSIONS__", "-U__CUDA_NO_BFLOAT16_OPERATORS__",
    "-U__CUDA_NO_BFLOAT16_CONVERSIONS__", "-U__CUDA_NO_BFLOAT162_OPERATORS__",
    "-U__CUDA_NO_BFLOAT162_CONVERSIONS__",
)  # fmt: skip
"""nvcc flags of mamba-ssm's own build."""
NO_BACKWARD = """// The backward half is left out: it takes minutes to compile and no benchmark calls it.
#include <cuda_runtime_api.h>
#include <torch/python.h>
#include "selective_scan.h"
template <typename input_t, typename weight_t>
void selective_scan_bwd_cuda(SSMParamsBwd&, cudaStream_t) { TORCH_CHECK(false, "no backward"); }
#define BOTH(T) \\
  template void selective_scan_bwd_cuda<T, float>(SSMParamsBwd&, cudaStream_t); \\
  template void selective_scan_bwd_cuda<T, c10::complex<float>>(SSMParamsBwd&, cudaStream_t);
BOTH(float) BOTH(at::Half) BOTH(at::BFloat16)
"""


class PeerMissing(Exception):
    """mamba-ssm's kernel cannot be had here; the text says why."""


def find_sdist(folder: Path) -> Path:
    """mamba-ssm's source distribution.

    Raises:
        PeerMissing: there is none; says how to get it.
    """
    named = os.environ.get(SDIST_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise PeerMissing(f"{SDIST_VARIABLE}={named} is no file")
        return Path(named)
    found = sorted(folder.glob("mamba_ssm-*.tar.gz"))
    if not found:
        raise PeerMissing(
            "mamba-ssm is not installed and build/peers holds no source distribution of it "
            "(make gpu-peers, on a machine with a network)"
        )
    return found[-1]


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack into a folder, once, and put the stand-in for the backward half beside the sources.

    Returns:
        the folder of the scan's sources.
    """
    source = folder / sdist.name.removesuffix(".tar.gz") / "csrc" / "selective_scan"
    if not source.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
    stub = source / STUB
    if not stub.is_file():
        stub.write_text(NO_BACKWARD, encoding="utf-8")
    return source
