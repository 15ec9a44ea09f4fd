"""The native CPU kernels through their C ABI. NumPy arrays and torch tensors come in alike, as `Buffer`s."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmexport.errors import BuildError, EnvironmentProblem, OutOfMemory, ShapeError
from vmexport.ops import abi
from vmexport.ops.buffer import Buffer, check_layout, shapes
from vmexport.ops.loading import BUILD_FIX, SCAN_LIBRARY, library_path
from vmexport.ops.validate import Sizes, check_directions, conv_sizes, scan_sizes

__all__ = ["Buffer", "NativeLibrary", "Order", "library_path", "load_native"]


@dataclass(frozen=True)
class Order:
    """The token order attributes that both operators share (see `vmexport.ops.schema`)."""

    directions: Sequence[int]
    tokens_per_frame: int
    class_token: int

    def struct(self, operator: str) -> abi.TokenOrder:
        """The same for C."""
        directions = check_directions(operator, self.directions)
        return abi.TokenOrder.of(directions, self.tokens_per_frame, self.class_token)


class NativeLibrary:
    """The loaded kernels. Calls release the interpreter lock and may come from several threads.

    Args:
        path: the shared library, already known to be trusted.

    Raises:
        EnvironmentProblem: it does not load, or was built from another version of the C structs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(str(path))
            self._declare()
        except (OSError, AttributeError) as error:
            raise EnvironmentProblem(f"cannot load {path}", str(error), BUILD_FIX) from error
        built = (self._library.vmexport_abi_version(), self._library.vmexport_scan_params_size(),
                 self._library.vmexport_conv_params_size())  # fmt: skip
        expected = (abi.ABI_VERSION, ctypes.sizeof(abi.ScanParams), ctypes.sizeof(abi.ConvParams))
        if built != expected:
            raise EnvironmentProblem(
                f"{path} was built from another version of vmexport",
                f"expected ABI version and struct sizes {expected}, got {built}",
                BUILD_FIX,
            )

    def _declare(self) -> None:
        """Types of the C functions."""
        library = self._library
        for name, struct in (("selective_scan", abi.ScanParams), ("causal_conv1d", abi.ConvParams)):
            function = getattr(library, f"vmexport_{name}")
            function.argtypes = [ctypes.POINTER(struct), ctypes.c_char_p]
            function.restype = ctypes.c_int
        library.vmexport_abi_version.restype = ctypes.c_uint32
        library.vmexport_scan_params_size.restype = ctypes.c_size_t
        library.vmexport_conv_params_size.restype = ctypes.c_size_t
        library.vmexport_version.restype = ctypes.c_char_p
        library.vmexport_cpu_tier.restype = ctypes.c_char_p
        library.vmexport_set_cpu_tier.argtypes = [ctypes.c_char_p]
        library.vmexport_set_cpu_tier.restype = ctypes.c_int32

    def version(self) -> str:
        """Version of vmexport that the library was built from."""
        return str(self._library.vmexport_version().decode())

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
        order: Order, scale: float = 1.0, delta_softplus: bool = True, threads: int = 0,
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
        operator = "selective_scan"
        sizes = scan_sizes(shapes(named), len(order.directions))
        check_layout(operator, named, parameters=("A", "D", "delta_bias", "last_state"))
        params = abi.ScanParams(
            struct_size=ctypes.sizeof(abi.ScanParams),
            dtype=abi.DTYPES[u.dtype],
            states=sizes.inner,
            order=order.struct(operator),
            delta_softplus=int(delta_softplus),
            scale=scale,
        )
        _fill(params, sizes, threads, named)
        self._call(operator, params)

    def conv(
        self, x: Buffer, weight: Buffer, bias: Buffer | None, u: Buffer, *, order: Order, threads: int = 0
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
        named = {"x": x, "weight": weight, "bias": bias, "u": u}
        operator = "causal_conv1d"
        sizes = conv_sizes(shapes(named), len(order.directions))
        check_layout(operator, named, parameters=("weight", "bias"))
        params = abi.ConvParams(
            struct_size=ctypes.sizeof(abi.ConvParams),
            dtype=abi.DTYPES[x.dtype],
            taps=sizes.inner,
            order=order.struct(operator),
        )
        _fill(params, sizes, threads, named)
        self._call(operator, params)

    def _call(self, operator: str, params: abi.ScanParams | abi.ConvParams) -> None:
        """Call the kernel and translate its status."""
        message = ctypes.create_string_buffer(abi.MESSAGE_SIZE)
        status = getattr(self._library, f"vmexport_{operator}")(ctypes.byref(params), message)
        if status == abi.OK:
            return
        text = message.value.decode(errors="replace")
        if status == abi.INVALID_ARGUMENT:
            raise ShapeError(f"{operator} cannot take its argument {text.split(':')[0]}", text)
        if status == abi.OUT_OF_MEMORY:
            raise OutOfMemory(f"{operator} ran out of memory", text, "use a smaller batch")
        raise BuildError(f"{operator} failed with status {status}", text, BUILD_FIX)


@functools.cache
def load_native() -> NativeLibrary:
    """The native kernels of this installation, loaded once.

    Raises:
        EnvironmentProblem: not built, not trusted, or not of this version; says how to build.
    """
    path = library_path(SCAN_LIBRARY)
    if path is None:
        raise EnvironmentProblem(
            "the native kernels are not here", f"no {SCAN_LIBRARY} in the package's _native folder", BUILD_FIX
        )
    return NativeLibrary(path)


def _fill(
    params: abi.ScanParams | abi.ConvParams, sizes: Sizes, threads: int, named: dict[str, Buffer | None]
) -> None:
    """Sizes, addresses and strides; a field that the struct lacks (strides of parameters) is left out."""
    params.batch, params.length, params.channels = sizes.batch, sizes.length, sizes.channels
    params.executor.threads = threads
    for name, buffer in named.items():
        if buffer is None:
            continue
        field = _FIELDS.get(name, name)
        setattr(params, field, buffer.address)
        strides = getattr(params, f"{field}_stride", None)
        if strides is not None:
            strides[:] = buffer.strides[:-1]


_FIELDS = {"A": "a", "BC": "bc", "D": "d"}
"""Names in the struct that differ from the tensors' names."""
