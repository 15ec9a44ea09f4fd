"""The CUDA kernels through their C ABI (libvmexport_scan_cuda.so): device memory in, launches on a stream."""

from __future__ import annotations

import ctypes
import functools

from vmexport.errors import EnvironmentProblem, VmexportError
from vmexport.native.loading import CUDA_BUILD_FIX, CUDA_LIBRARY, library_path
from vmexport.ops import abi
from vmexport.ops.binding import CONV, SCAN, KernelLibrary, conv_params, scan_params
from vmexport.ops.buffer import Buffer
from vmexport.ops.schema import TokenOrder

__all__ = ["CudaLibrary", "load_native_cuda"]


class CudaLibrary(KernelLibrary):
    """The loaded CUDA kernels.

    Calls launch on the current device and return at once: nothing is allocated, copied or waited for, so they
    may be captured in a CUDA graph. All memory must lie on that device and outlive the work on the stream.
    Loading needs no GPU and no driver; a call without them raises.
    """

    suffix = "_cuda"
    fix = CUDA_BUILD_FIX
    extra = (ctypes.c_void_p,)

    def _declare(self) -> None:
        super()._declare()
        self._library.vmexport_cuda_architectures.restype = ctypes.c_char_p

    def architectures(self) -> str:
        """What the kernels were compiled for, such as "sm_87 sm_90 compute_90"."""
        return str(self._library.vmexport_cuda_architectures().decode())

    def scan(
        self, u: Buffer, delta: Buffer, A: Buffer, BC: Buffer, D: Buffer | None, delta_bias: Buffer | None,
        z: Buffer | None, y: Buffer, last_state: Buffer | None = None, *,
        order: TokenOrder, scale: float = 1.0, delta_softplus: bool = True, stream: int = 0,
    ) -> None:  # fmt: skip
        """`vmexport.ops.native.NativeLibrary.scan` on device memory.

        Args:
            u, delta, A, BC, D, delta_bias, z, y, last_state: shapes and dtypes as there.
            order: how the tokens are visited.
            scale: factor on the sum of the directions.
            delta_softplus: False uses `delta + delta_bias` as it is.
            stream: a `cudaStream_t` as a number; 0 is the default stream.

        Raises:
            ShapeError: a dtype, shape, stride or attribute does not fit.
            EnvironmentProblem: no driver, no GPU, no kernel for this GPU, or a launch that failed.
        """
        named = {"u": u, "delta": delta, "A": A, "BC": BC, "D": D, "delta_bias": delta_bias, "z": z, "y": y,
                 "last_state": last_state}  # fmt: skip
        self._call(SCAN, scan_params(named, order, scale, delta_softplus), ctypes.c_void_p(stream))

    def conv(
        self, x: Buffer, weight: Buffer, bias: Buffer | None, u: Buffer, *, order: TokenOrder, stream: int = 0
    ) -> None:
        """`vmexport.ops.native.NativeLibrary.conv` on device memory.

        Args:
            x, weight, bias, u: shapes and dtypes as there.
            order: how the tokens are visited.
            stream: a `cudaStream_t` as a number; 0 is the default stream.

        Raises:
            ShapeError: a dtype, shape, stride or attribute does not fit.
            EnvironmentProblem: no driver, no GPU, no kernel for this GPU, or a launch that failed.
        """
        params = conv_params({"x": x, "weight": weight, "bias": bias, "u": u}, order)
        self._call(CONV, params, ctypes.c_void_p(stream))

    def _error(self, operator: str, status: int, text: str) -> VmexportError:
        if status == abi.UNSUPPORTED:
            return EnvironmentProblem(f"{operator} has no kernel for this GPU", text, CUDA_BUILD_FIX)
        if status == abi.LAUNCH_FAILED:
            fix = "look at nvidia-smi; an earlier kernel that failed shows with CUDA_LAUNCH_BLOCKING=1"
            return EnvironmentProblem(f"{operator} could not be launched", text, fix)
        return super()._error(operator, status, text)


@functools.cache
def load_native_cuda() -> CudaLibrary:
    """The CUDA kernels of this installation, loaded once; needs neither a GPU nor a driver.

    Raises:
        EnvironmentProblem: not built, not trusted, or not of this version; says how to build.
    """
    path = library_path(CUDA_LIBRARY)
    if path is None:
        raise EnvironmentProblem(
            "the CUDA kernels are not here",
            f"no {CUDA_LIBRARY} in the package's _native folder, nor one of these sources in the cache",
            CUDA_BUILD_FIX,
        )
    return CudaLibrary(path)
