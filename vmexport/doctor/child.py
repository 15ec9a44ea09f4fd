"""Numeric self-test of every kernel through every front end: `python -m vmexport.doctor.child`.

Random numbers go through the kernel and through a float64 oracle of a few lines. Each outcome is printed as
one JSON line as soon as it is known, so that after a crash the caller still sees what came before it.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmexport.doctor import front_ends as kernels
from vmexport.doctor.environment import installed_version
from vmexport.doctor.finding import BROKEN, MISSING, OK, SKIPPED, Finding
from vmexport.doctor.front_ends import Untestable
from vmexport.doctor.oracle import Array, conv_inputs, conv_oracle, scan_inputs, scan_oracle
from vmexport.errors import VmexportError
from vmexport.native import gpu
from vmexport.native.libraries import (
    CUDA_BUILD_FIX,
    CUDA_LIBRARIES,
    CUDA_LIBRARY,
    LIBRARIES,
    ORT_CUDA_LIBRARY,
    ORT_LIBRARY,
    SCAN_LIBRARY,
    TRT_LIBRARIES,
    build_fix,
)
from vmexport.native.loading import library_path
from vmexport.native.plugin_info import PluginBuild, read_plugin_build
from vmexport.ops.native import load_native
from vmexport.ops.schema import CAUSAL_CONV1D, SELECTIVE_SCAN

NVCC_LIBRARIES = (*CUDA_LIBRARIES, *TRT_LIBRARIES)

TOLERANCE = 1e-5
"""Largest relative L2 error; float32 kernels reach about 1e-7."""


@dataclass(frozen=True)
class Kernel:
    """One kernel behind one front end.

    Attributes:
        name: for people.
        library: file name.
        run: computes the self-test's inputs.
        expected: the right answer.
    """

    name: str
    library: str
    run: Callable[[], Array]
    expected: NDArray[np.float64]


def all_kernels() -> list[Kernel]:
    """Every kernel of every library."""
    scan, conv = scan_inputs(), conv_inputs()
    y, u = scan_oracle(scan), conv_oracle(conv)
    return [
        Kernel("scan, C ABI", SCAN_LIBRARY, lambda: kernels.native_scan(load_native(), scan), y),
        Kernel("convolution, C ABI", SCAN_LIBRARY, lambda: kernels.native_conv(load_native(), conv), u),
        Kernel("scan, ONNX Runtime", ORT_LIBRARY, lambda: kernels.onnx_runtime(SELECTIVE_SCAN, scan), y),
        Kernel("convolution, ONNX Runtime", ORT_LIBRARY,
               lambda: kernels.onnx_runtime(CAUSAL_CONV1D, conv), u),
        Kernel("scan, CUDA", CUDA_LIBRARY, lambda: kernels.cuda_scan(scan), y),
        Kernel("convolution, CUDA", CUDA_LIBRARY, lambda: kernels.cuda_conv(conv), u),
        Kernel("scan, ONNX Runtime CUDA library on the CPU", ORT_CUDA_LIBRARY,
               lambda: kernels.on_cpu(_present(ORT_CUDA_LIBRARY), SELECTIVE_SCAN, scan), y),
        Kernel("scan, ONNX Runtime CUDA", ORT_CUDA_LIBRARY,
               lambda: kernels.onnx_runtime_cuda(SELECTIVE_SCAN, scan), y),
        Kernel("convolution, ONNX Runtime CUDA", ORT_CUDA_LIBRARY,
               lambda: kernels.onnx_runtime_cuda(CAUSAL_CONV1D, conv), u),
    ]  # fmt: skip


def examine_library(name: str) -> Finding:
    """Whether a library is there, may be loaded, loads, and fits this version."""
    purpose = LIBRARIES[name]
    try:
        path = library_path(name)
        if path is None:
            return Finding(name, MISSING, "not built", purpose, build_fix(name))
        detail, fix = f"{path} (only you or root can write it)", ""
        if name == SCAN_LIBRARY:
            load_native()
        elif name == CUDA_LIBRARY:
            remark, fix = _suits_gpus(_cuda_architectures())
            detail = f"{path}, {remark}"
        elif name in TRT_LIBRARIES:
            remark, fix = _suits_tensorrt(read_plugin_build(path))
            detail = f"{path}, {remark}"
        else:
            _ = ctypes.CDLL(str(path)).RegisterCustomOps
    except VmexportError as error:
        return Finding(name, BROKEN, f"{error.what}: {error.why}", purpose, _mend(name, error.fix))
    except (OSError, AttributeError) as error:
        return Finding(name, BROKEN, f"cannot load it: {error}", purpose, _mend(name))
    return Finding(name, OK, detail, purpose, fix)


def judge(name: str, library: str, run: Callable[[], Array], expected: NDArray[np.float64]) -> Finding:
    """Run one kernel of a library that loads."""
    try:
        found = run()
    except Untestable as problem:
        return Finding(name, SKIPPED, problem.reason, library, problem.fix)
    except VmexportError as error:
        return Finding(name, BROKEN, f"{error.what}: {error.why}", library, _mend(library, error.fix))
    except Exception as error:  # whatever the frameworks raise
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Finding(name, BROKEN, text, library, _mend(library))
    distance = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    if distance <= TOLERANCE:  # false for NaN too
        return Finding(name, OK, f"relative L2 error {distance:.1e}", library)
    detail = f"relative L2 error {distance:.1e}, expected at most {TOLERANCE:.0e}"
    return Finding(name, BROKEN, detail, library, _mend(library))


def findings() -> Iterator[tuple[str, Finding]]:
    """Every `library`, then every `kernel`; where a library does not load its kernels fare as it does."""
    libraries = {}
    for name in LIBRARIES:
        libraries[name] = examine_library(name)
        yield "library", libraries[name]
    for kernel in all_kernels():
        library = libraries[kernel.library]
        if library.status == OK:
            yield "kernel", judge(kernel.name, kernel.library, kernel.run, kernel.expected)
        else:
            detail = "not built" if library.status == MISSING else f"{kernel.library} does not load"
            yield "kernel", Finding(kernel.name, library.status, detail, kernel.library)


def main() -> None:
    """Test everything that is here."""
    tier = ""
    for kind, finding in findings():
        print(json.dumps({kind: asdict(finding)}), flush=True)
        if finding.name == SCAN_LIBRARY and finding.status == OK:
            tier = load_native().tier()
    print(json.dumps({"tier": tier}), flush=True)


def _cuda_architectures() -> str:
    """What the CUDA kernels were compiled for."""
    from vmexport.ops.native_cuda import load_native_cuda

    return load_native_cuda().architectures()


def _suits_tensorrt(build: PluginBuild) -> tuple[str, str]:
    """What a plugin was built for and whether that suits the TensorRT and the GPUs here; the fix if not."""
    remark, fix = _suits_gpus(build.architectures)
    remark = f"{build.interface} for TensorRT {build.tensorrt}, {remark}"
    installed = installed_version("tensorrt")
    if installed is None or installed.split(".")[0] == str(build.major):
        return remark, fix
    major = installed.split(".")[0]
    return (
        f"{remark}; here is TensorRT {installed}, and a plugin belongs to one major version",
        f"TENSORRT_INCLUDE_DIR=<include folder of TensorRT {major}> {CUDA_BUILD_FIX} --force",
    )


def _suits_gpus(built: str) -> tuple[str, str]:
    """Whether code for some architectures suits the GPUs of this machine; the fix if not."""
    lacking = [one for one in gpu.compute_capabilities() if not gpu.covers(built, one)]
    if not lacking:
        return f"built for {built}", ""
    return f"built for {built}, not for this machine's sm_{', sm_'.join(lacking)}", CUDA_BUILD_FIX


def _mend(library: str, fix: str = "") -> str:
    """The error's own advice, unless that is to build: what is there has to be built again by force."""
    if fix and fix != build_fix(library):
        return fix
    return f"vmexport plugin build{' --cuda on' if library in NVCC_LIBRARIES else ''} --force"


def _present(name: str) -> Path:
    """The path of a library that has been examined."""
    path: Any = library_path(name)
    assert isinstance(path, Path)
    return path


if __name__ == "__main__":
    main()
