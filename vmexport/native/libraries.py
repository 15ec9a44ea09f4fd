"""The native libraries: their files, what each is for, and the words that a user may call them by."""

from __future__ import annotations

from collections.abc import Mapping

from vmexport.errors import UsageError

ABI_VERSION = 2
"""Version of the C interface, `VMEXPORT_ABI_VERSION` of `plugins/scan/params.h`."""

SCAN_LIBRARY = "libvmexport_scan.so"
ORT_LIBRARY = "libvmexport_ort.so"
CUDA_LIBRARY = "libvmexport_scan_cuda.so"
ORT_CUDA_LIBRARY = "libvmexport_ort_cuda.so"
TRT_LIBRARY = "libvmexport_trt.so"
TRT_AUTOREG_LIBRARY = "libvmexport_trt_autoreg.so"

LIBRARIES: Mapping[str, str] = {
    SCAN_LIBRARY: "native operators for PyTorch; without it the slow reference computes",
    ORT_LIBRARY: "native operators for ONNX Runtime; without it the function body computes",
    CUDA_LIBRARY: "CUDA operators for PyTorch",
    ORT_CUDA_LIBRARY: "CUDA operators for ONNX Runtime",
    TRT_LIBRARY: "TensorRT plugin; without it engines can be neither built nor run",
    TRT_AUTOREG_LIBRARY: "the same plugin for trtexec, vmexport-run, polygraphy and DeepStream",
}
"""Every library and what it is for."""

CUDA_LIBRARIES = (CUDA_LIBRARY, ORT_CUDA_LIBRARY)
TRT_LIBRARIES = (TRT_LIBRARY, TRT_AUTOREG_LIBRARY)

BUILD_FIX = "vmexport plugin build   (needs cmake and a C++17 compiler; in a source tree also: make native)"
CUDA_BUILD_FIX = "vmexport plugin build --cuda on"
TRT_BUILD_FIX = f"{CUDA_BUILD_FIX}   (needs TensorRT's headers; TENSORRT_INCLUDE_DIR=<their folder>)"


def build_fix(name: str) -> str:
    """The command that builds a library."""
    if name in TRT_LIBRARIES:
        return TRT_BUILD_FIX
    return CUDA_BUILD_FIX if name in CUDA_LIBRARIES else BUILD_FIX


def short_name(name: str) -> str:
    """`scan` for `libvmexport_scan.so`."""
    return name.removeprefix("libvmexport_").removesuffix(".so")


def file_name(word: str) -> str:
    """The file that a user means by `libvmexport_scan.so` or `scan`.

    Raises:
        UsageError: there is no such library; lists them.
    """
    for name in LIBRARIES:
        if word in (name, short_name(name)):
            return name
    raise UsageError(
        f"there is no library named {word!r}",
        f"expected one of {', '.join(short_name(name) for name in LIBRARIES)}",
        "vmexport plugin path",
    )
