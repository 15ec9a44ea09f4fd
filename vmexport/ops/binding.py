"""What the libraries of the C ABI share, whichever device they run on: loading, parameters, statuses."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from vmexport.errors import BuildError, EnvironmentProblem, OutOfMemory, ShapeError, VmexportError
from vmexport.native.libraries import ABI_VERSION
from vmexport.native.loading import BUILD_FIX
from vmexport.ops import abi
from vmexport.ops.buffer import Buffer, check_layout, shapes
from vmexport.ops.schema import GRADIENT, TokenOrder
from vmexport.ops.validate import (
    Sizes,
    check_directions,
    check_scale,
    check_whole,
    conv_sizes,
    refuse,
    scan_sizes,
)

Buffers = Mapping[str, Buffer | None]
"""Tensors by the names of the operator's schema, outputs included; None where an optional one is absent."""

SCAN, CONV = "selective_scan", "causal_conv1d"
Params = abi.ScanParams | abi.ConvParams | abi.ScanBackwardParams | abi.ConvBackwardParams
_FIELDS = {"A": "a", "BC": "bc", "D": "d"}  # names in the structs that differ from the tensors' names
_SCAN_PARAMETERS = ("A", "D", "delta_bias", "last_state")
_CONV_PARAMETERS = ("weight", "bias")


class KernelLibrary:
    """A loaded library of kernels. Calls release the interpreter lock and may come from several threads.

    Args:
        path: the shared library, already known to be trusted.

    Raises:
        EnvironmentProblem: it does not load, or was built from another version of the C structs.
    """

    suffix: ClassVar[str] = ""
    """Ends the names of the two operators' C functions."""
    fix: ClassVar[str] = BUILD_FIX
    """How to build the library, for errors."""
    extra: ClassVar[tuple[type, ...]] = ()
    """Types of the arguments between the parameters and the message."""
    functions: ClassVar[Mapping[str, tuple[type[ctypes.Structure], str]]] = {
        SCAN: (abi.ScanParams, "scan"),
        CONV: (abi.ConvParams, "conv"),
    }
    """What can be called: the struct that it takes, and the name of that struct in `vmexport_NAME_params`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(str(path))
            self._check_version()
            self._declare()
        except (OSError, AttributeError) as error:
            raise EnvironmentProblem(f"cannot load {path}", str(error), self.fix) from error

    def _check_version(self) -> None:
        """The library was built from the structs of this installation (an older one lacks some of them)."""
        sizes = [getattr(self._library, f"vmexport_{name}_params_size", None) for _, name in self._structs()]
        self._library.vmexport_abi_version.restype = ctypes.c_uint32
        for size in sizes:
            if size is not None:
                size.restype = ctypes.c_size_t
        built = (self._library.vmexport_abi_version(), *(0 if size is None else size() for size in sizes))
        expected = (ABI_VERSION, *(ctypes.sizeof(struct) for struct, _ in self._structs()))
        if built != expected:
            raise EnvironmentProblem(
                f"{self.path} was built from another version of vmexport",
                f"expected ABI version and struct sizes {expected}, got {built}",
                self.fix,
            )

    def _structs(self) -> tuple[tuple[type[ctypes.Structure], str], ...]:
        return tuple(self.functions.values())

    def _declare(self) -> None:
        """Types of the C functions that every library has."""
        library = self._library
        for name, (struct, _) in self.functions.items():
            function = getattr(library, f"vmexport_{name}{self.suffix}")
            function.argtypes = [ctypes.POINTER(struct), *self.extra, ctypes.c_char_p]
            function.restype = ctypes.c_int
        library.vmexport_version.restype = ctypes.c_char_p

    def version(self) -> str:
        """Version of vmexport that the library was built from."""
        return str(self._library.vmexport_version().decode())

    def _call(self, operator: str, params: Params, *extra: object) -> None:
        """Call the kernel and translate its status."""
        message = ctypes.create_string_buffer(abi.MESSAGE_SIZE)
        function = getattr(self._library, f"vmexport_{operator}{self.suffix}")
        status = function(ctypes.byref(params), *extra, message)
        if status != abi.OK:
            raise self._error(operator, status, message.value.decode(errors="replace"))

    def _error(self, operator: str, status: int, text: str) -> VmexportError:
        """The error for a status of `vmexport_status` and the core's message."""
        if status == abi.INVALID_ARGUMENT:
            return ShapeError(f"{operator} cannot take its argument {text.split(':')[0]}", text)
        if status == abi.OUT_OF_MEMORY:
            return OutOfMemory(f"{operator} ran out of memory", text, "use a smaller batch")
        return BuildError(f"{operator} failed with status {status}", text, self.fix)


def _checked(order: TokenOrder, operator: str) -> TokenOrder:
    """The token order in Python's own numbers.

    Raises:
        ShapeError: an attribute is none, or one that C's types would cut off to another number.
    """
    directions = check_directions(operator, order.directions)
    check_whole(operator, tokens_per_frame=order.tokens_per_frame, class_token=order.class_token)
    if order.class_token not in (0, 1):
        refuse(operator, "class_token", "0 or 1", order.class_token)
    return TokenOrder(directions, int(order.tokens_per_frame), int(order.class_token))


def _order_struct(order: TokenOrder) -> abi.TokenOrder:
    """A checked token order for C."""
    return abi.TokenOrder.of(order.directions, order.tokens_per_frame, order.class_token)


def scan_params(named: Buffers, order: TokenOrder, scale: float, delta_softplus: bool) -> abi.ScanParams:
    """The struct of one scan.

    Args:
        named: u, delta, A, BC, D, delta_bias, z, y and last_state.
        order: how the tokens are visited.
        scale: factor on the sum of the directions.
        delta_softplus: False uses `delta + delta_bias` as it is.

    Raises:
        ShapeError: a dtype, shape or stride does not fit.
    """
    order = _checked(order, SCAN)
    sizes = scan_sizes(shapes(named), len(order.directions))
    check_layout(SCAN, named, _SCAN_PARAMETERS)
    params = abi.ScanParams(
        struct_size=ctypes.sizeof(abi.ScanParams),
        dtype=_dtype(named),
        states=sizes.inner,
        order=_order_struct(order),
        delta_softplus=int(delta_softplus),
        scale=check_scale(SCAN, scale),
    )
    _fill(params, sizes, named)
    return params


def conv_params(named: Buffers, order: TokenOrder) -> abi.ConvParams:
    """The struct of one convolution.

    Args:
        named: x, weight, bias and u.
        order: how the tokens are visited.

    Raises:
        ShapeError: a dtype, shape or stride does not fit.
    """
    order = _checked(order, CONV)
    sizes = conv_sizes(shapes(named), len(order.directions))
    check_layout(CONV, named, _CONV_PARAMETERS)
    params = abi.ConvParams(
        struct_size=ctypes.sizeof(abi.ConvParams),
        dtype=_dtype(named),
        taps=sizes.inner,
        order=_order_struct(order),
    )
    _fill(params, sizes, named)
    return params


def scan_backward_params(
    named: Buffers, order: TokenOrder, scale: float, delta_softplus: bool
) -> abi.ScanBackwardParams:
    """The struct of one backward pass of the scan.

    Args:
        named: u, delta, A, BC, D, delta_bias and z of the forward call; grad_y and grad_last_state; and the
            gradients to be written, `grad_u` for that of `u`, None or absent where one is not wanted.
        order: how the tokens are visited.
        scale: factor on the sum of the directions.
        delta_softplus: False uses `delta + delta_bias` as it is.

    Raises:
        ShapeError: a dtype, shape or stride does not fit.
    """
    order = _checked(order, SCAN)
    check_layout(SCAN, named, _with_gradients(_SCAN_PARAMETERS))
    forward, gradients = _apart(named)
    scan_sizes(shapes(named), len(order.directions))
    params = abi.ScanBackwardParams(
        struct_size=ctypes.sizeof(abi.ScanBackwardParams),
        scan=scan_params(forward, order, scale, delta_softplus),
    )
    _point(params, gradients)
    return params


def conv_backward_params(named: Buffers, order: TokenOrder) -> abi.ConvBackwardParams:
    """The struct of one backward pass of the convolution.

    Args:
        named: x, weight and bias of the forward call; grad_u; and the gradients to be written, `grad_x` for
            that of `x`, None or absent where one is not wanted.
        order: how the tokens are visited.

    Raises:
        ShapeError: a dtype, shape or stride does not fit.
    """
    order = _checked(order, CONV)
    check_layout(CONV, named, _with_gradients(_CONV_PARAMETERS))
    forward, gradients = _apart(named)
    conv_sizes(shapes(named), len(order.directions))
    params = abi.ConvBackwardParams(
        struct_size=ctypes.sizeof(abi.ConvBackwardParams), conv=conv_params(forward, order)
    )
    _point(params, gradients)
    return params


def _with_gradients(names: Sequence[str]) -> tuple[str, ...]:
    """The tensors and their gradients, which are float32 and contiguous like them."""
    return (*names, *(GRADIENT + name for name in names))


def _apart(named: Buffers) -> tuple[Buffers, Buffers]:
    """The forward call's tensors, and the gradients."""
    gradients = {name: buffer for name, buffer in named.items() if name.startswith(GRADIENT)}
    return {name: buffer for name, buffer in named.items() if name not in gradients}, gradients


def _dtype(named: Buffers) -> int:
    """`vmexport_dtype` of the first tensor, which sets that of the activations."""
    return abi.DTYPES[next(buffer.dtype for buffer in named.values() if buffer is not None)]


def _fill(params: abi.ScanParams | abi.ConvParams, sizes: Sizes, named: Buffers) -> None:
    """Sizes, addresses and strides."""
    params.batch, params.length, params.channels = sizes.batch, sizes.length, sizes.channels
    _point(params, named)


def _point(params: Params, named: Buffers) -> None:
    """Addresses and strides; a field that the struct lacks (strides of parameters) is left out."""
    for name, buffer in named.items():
        if buffer is None:
            continue
        prefix = GRADIENT if name.startswith(GRADIENT) else ""
        tensor = name.removeprefix(prefix)
        field = prefix + _FIELDS.get(tensor, tensor)
        setattr(params, field, buffer.address)
        strides = getattr(params, f"{field}_stride", None)
        if strides is not None:
            strides[:] = buffer.strides[:-1]
