"""The native CPU kernels through their C ABI. NumPy arrays and torch tensors come in alike, as `Buffer`s."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from typing import ClassVar

from vmexport.errors import EnvironmentProblem
from vmexport.native.loading import BUILD_FIX, SCAN_LIBRARY, library_path
from vmexport.ops import abi
from vmexport.ops.binding import (
    CONV,
    SCAN,
    Buffers,
    KernelLibrary,
    conv_backward_params,
    conv_params,
    scan_backward_params,
    scan_params,
)
from vmexport.ops.buffer import Buffer
from vmexport.ops.schema import TokenOrder

__all__ = ["Buffer", "NativeLibrary", "library_path", "load_native"]

SCAN_BACKWARD, CONV_BACKWARD = f"{SCAN}_backward", f"{CONV}_backward"


class NativeLibrary(KernelLibrary):
    """The loaded CPU kernels."""

    functions: ClassVar[Mapping[str, tuple[type[ctypes.Structure], str]]] = {
        **KernelLibrary.functions,
        SCAN_BACKWARD: (abi.ScanBackwardParams, "scan_backward"),
        CONV_BACKWARD: (abi.ConvBackwardParams, "conv_backward"),
    }

    def _declare(self) -> None:
        super()._declare()
        self._library.vmexport_cpu_tier.restype = ctypes.c_char_p
        self._library.vmexport_set_cpu_tier.argtypes = [ctypes.c_char_p]
        self._library.vmexport_set_cpu_tier.restype = ctypes.c_int32

    def tier(self) -> str:
        """Instruction tier in use: "avx512", "avx2", "neon" or "baseline"."""
        return str(self._library.vmexport_cpu_tier().decode())

    def set_tier(self, name: str | None) -> bool:
        """Use another tier, for the whole process (tests and benchmarks); None chooses the best again.

        Returns:
            False where this machine has no such tier; nothing changes then.
        """
        return bool(self._library.vmexport_set_cpu_tier(None if name is None else name.encode()))

    def scan(
        self, u: Buffer, delta: Buffer, A: Buffer, BC: Buffer, D: Buffer | None, delta_bias: Buffer | None,
        z: Buffer | None, y: Buffer, last_state: Buffer | None = None, *,
        order: TokenOrder, scale: float = 1.0, delta_softplus: bool = True, threads: int = 0,
    ) -> None:  # fmt: skip
        """The selective scan of `vmexport.ops.reference.selective_scan_reference`, written into `y`.

        u, delta, BC, z and y share one dtype out of float32, float16, bfloat16 and have contiguous channels;
        the other tensors are float32 and contiguous. `y` must not overlap an input.

        Args:
            u: `(S, B, L, D)`.
            delta: `(S, B, L, D)`.
            A: `(S, D, N)`.
            BC: `(S, B, L, 2N)`.
            D: `(S, D)` or None.
            delta_bias: `(S, D)` or None.
            z: `(B, L, D)` or None.
            y: `(B, L, D)`, out.
            last_state: `(S, B, D, N)`, out, or None.
            order: how the tokens are visited.
            scale: factor on the sum of the directions.
            delta_softplus: False uses `delta + delta_bias` as it is.
            threads: upper limit; 0 stands for every core that this process may use.

        Raises:
            ShapeError: a dtype, shape, stride or attribute does not fit.
            OutOfMemory: no memory for the workspace.
        """
        named = {"u": u, "delta": delta, "A": A, "BC": BC, "D": D, "delta_bias": delta_bias, "z": z, "y": y,
                 "last_state": last_state}  # fmt: skip
        params = scan_params(named, order, scale, delta_softplus)
        params.executor.threads = threads
        self._call(SCAN, params)

    def conv(
        self,
        x: Buffer,
        weight: Buffer,
        bias: Buffer | None,
        u: Buffer,
        *,
        order: TokenOrder,
        threads: int = 0,
    ) -> None:
        """The convolution of `vmexport.ops.reference.causal_conv1d_reference`, written into `u`.

        Args:
            x: `(B, L, D)` float32, float16 or bfloat16, contiguous channels.
            weight: `(S, D, K)` float32, contiguous.
            bias: `(S, D)` float32, contiguous, or None.
            u: `(S, B, L, D)` in x's dtype, out; must not overlap x.
            order: how the tokens are visited.
            threads: upper limit; 0 stands for every core that this process may use.

        Raises:
            ShapeError: a dtype, shape, stride or attribute does not fit.
        """
        params = conv_params({"x": x, "weight": weight, "bias": bias, "u": u}, order)
        params.executor.threads = threads
        self._call(CONV, params)

    def scan_backward(
        self,
        named: Buffers,
        *,
        order: TokenOrder,
        scale: float = 1.0,
        delta_softplus: bool = True,
        threads: int = 0,
    ) -> None:
        """Gradients of `scan`, the same to the bit for any number of threads (on one instruction tier).

        Nothing of the forward pass is needed beyond its inputs; memory beside the tensors grows with
        `sqrt(L) D N` for each thread and with `L N`, never with `L D N`.

        Args:
            named: the inputs of `scan` by name; `grad_y` `(B, L, D)`; `grad_last_state` `(S, B, D, N)`
                float32 or None for zero; and the gradients to be written, `grad_u` for that of `u`, each with
                its tensor's shape and dtype, None or absent where it is not wanted, which saves its work.
                Outputs must overlap neither an input nor each other.
            order: how the tokens are visited.
            scale: factor on the sum of the directions.
            delta_softplus: as in `scan`.
            threads: upper limit; 0 stands for every core that this process may use.

        Raises:
            ShapeError: a dtype, shape, stride or attribute does not fit.
            OutOfMemory: no memory for the workspace.
        """
        params = scan_backward_params(named, order, scale, delta_softplus)
        params.scan.executor.threads = threads
        self._call(SCAN_BACKWARD, params)

    def conv_backward(self, named: Buffers, *, order: TokenOrder, threads: int = 0) -> None:
        """Gradients of `conv`, the same to the bit for any number of threads (on one instruction tier).

        Args:
            named: the inputs of `conv` by name; `grad_u` `(S, B, L, D)` in x's dtype; and the gradients to be
                written, `grad_x`, `grad_weight` and `grad_bias`, as in `scan_backward`.
            order: how the tokens are visited.
            threads: upper limit; 0 stands for every core that this process may use.

        Raises:
            ShapeError: a dtype, shape, stride or attribute does not fit.
            OutOfMemory: no memory for the workspace.
        """
        params = conv_backward_params(named, order)
        params.conv.executor.threads = threads
        self._call(CONV_BACKWARD, params)


@functools.cache
def load_native() -> NativeLibrary:
    """The native kernels of this installation, loaded once.

    Raises:
        EnvironmentProblem: not built, not trusted, or not of this version; says how to build.
    """
    path = library_path(SCAN_LIBRARY)
    if path is None:
        raise EnvironmentProblem(
            "the native kernels are not here",
            f"no {SCAN_LIBRARY} in the package's _native folder, nor one of these sources in the cache",
            BUILD_FIX,
        )
    return NativeLibrary(path)
