"""What the tests of compiled kernels need, or the reason for which they are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from sass import ToolMissingError, find_tool


@pytest.fixture
def cuda_library(root_dir: Path) -> Path:
    """The CUDA library of `make cuda-compile`, on a machine that can take it apart."""
    library = root_dir / "build/cuda/capi/libvmexport_scan_cuda.so"
    if not library.exists():
        pytest.skip("no CUDA library; make cuda-compile builds it where nvcc is")
    try:
        for tool in ("nvcc", "cuobjdump", "nvdisasm"):
            find_tool(tool)
    except ToolMissingError as error:
        pytest.skip(str(error))
    return library
