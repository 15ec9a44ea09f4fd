"""torch tensors through the C ABI: outputs from torch's allocator, copies only where needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from vmexport.native.loading import SCAN_LIBRARY, library_path
from vmexport.ops.buffer import Buffer
from vmexport.ops.native import NativeLibrary, load_native
from vmexport.ops.reference_backward import ScanTensors
from vmexport.ops.schema import CONV_INPUTS, GRADIENT, SCAN_INPUTS, TokenOrder

_ACTIVATIONS = ("u", "delta", "BC", "z", "x", "grad_y", "grad_u")


def run_scan(
    call: Callable[..., None], tensors: ScanTensors, order: TokenOrder, *, scale: float, delta_softplus: bool
) -> tuple[Tensor, Tensor]:
    """One scan by a library.

    Args:
        call: `scan` of a library, with its threads or its stream bound.
        tensors: u, delta, A, BC, D, delta_bias and z, all on the device that the library serves.
        order: how the tokens are visited.
        scale: factor on the sum of the directions.
        delta_softplus: False uses `delta + delta_bias` as it is.

    Returns:
        y `(B, L, D)` and the last state `(S, B, D, N)`.
    """
    u, delta, A, BC, D, delta_bias, z = tensors
    y = u.new_empty(u.shape[1:])
    last_state = A.new_empty((*u.shape[:2], *A.shape[1:]))
    if u.numel() == 0:  # no token is visited, so the state stays as it begins
        last_state.zero_()
    u, delta, A, BC = _rows(u), _rows(delta), A.contiguous(), _rows(BC)  # these names keep the copies alive
    D, delta_bias = (None if t is None else t.contiguous() for t in (D, delta_bias))
    z = None if z is None else _rows(z)
    call(
        _buffer(u), _buffer(delta), _buffer(A), _buffer(BC),
        None if D is None else _buffer(D), None if delta_bias is None else _buffer(delta_bias),
        None if z is None else _buffer(z), _buffer(y), _buffer(last_state),
        order=order, scale=scale, delta_softplus=delta_softplus,
    )  # fmt: skip
    return y, last_state


def run_conv(
    call: Callable[..., None], x: Tensor, weight: Tensor, bias: Tensor | None, order: TokenOrder
) -> Tensor:
    """One convolution by a library, `(S, B, L, D)`; arguments as in `run_scan`."""
    u = x.new_empty((len(order.directions), *x.shape))
    x, weight = _rows(x), weight.contiguous()  # these names keep the copies alive
    bias = None if bias is None else bias.contiguous()
    call(
        _buffer(x), _buffer(weight), None if bias is None else _buffer(bias), _buffer(u), order=order
    )  # fmt: skip
    return u


def run_scan_backward(
    library: NativeLibrary, grads: tuple[Tensor, Tensor | None], tensors: ScanTensors, wanted: Sequence[bool],
    order: TokenOrder, *, scale: float, delta_softplus: bool,
) -> list[Tensor]:  # fmt: skip
    """The scan's gradients by the CPU kernels.

    Args:
        library: the kernels.
        grads: of y and, if there is one, of the last state.
        tensors: u, delta, A, BC, D, delta_bias and z of the forward call.
        wanted: for each of the tensors, whether its gradient is.
        order: how the tokens are visited.
        scale: factor on the sum of the directions.
        delta_softplus: False uses `delta + delta_bias` as it is.

    Returns:
        the wanted gradients of the tensors that are there, contiguous, in the tensors' dtypes.
    """
    outputs = new_gradients(tensors, wanted)
    given = dict(zip(SCAN_INPUTS, tensors, strict=True)) | {"grad_y": grads[0], "grad_last_state": grads[1]}
    given = {name: _laid_out(name, tensor) for name, tensor in given.items()}  # keeps the copies alive
    named = _buffers(given) | _buffers(_by_gradient(SCAN_INPUTS, outputs))
    threads = torch.get_num_threads()
    library.scan_backward(named, order=order, scale=scale, delta_softplus=delta_softplus, threads=threads)
    return [output for output in outputs if output is not None]


def run_conv_backward(
    library: NativeLibrary,
    grad_u: Tensor,
    tensors: tuple[Tensor, Tensor, Tensor | None],
    wanted: Sequence[bool],
    order: TokenOrder,
) -> list[Tensor]:
    """The convolution's gradients by the CPU kernels; tensors are x, weight and bias, the rest as above."""
    outputs = new_gradients(tensors, wanted)
    given = dict(zip(CONV_INPUTS, tensors, strict=True)) | {"grad_u": grad_u}
    given = {name: _laid_out(name, tensor) for name, tensor in given.items()}
    named = _buffers(given) | _buffers(_by_gradient(CONV_INPUTS, outputs))
    library.conv_backward(named, order=order, threads=torch.get_num_threads())
    return [output for output in outputs if output is not None]


def new_gradients(tensors: Sequence[Tensor | None], wanted: Sequence[bool]) -> list[Tensor | None]:
    """Memory for the gradients; None where a tensor is absent or its gradient not wanted."""
    return [
        None if tensor is None or not asked else tensor.new_empty(tensor.shape)
        for tensor, asked in zip(tensors, wanted, strict=True)
    ]


def native_for(tensor: Tensor) -> NativeLibrary | None:
    """The CPU kernels, or None where the reference must do: nothing was built, or the dtype is float64."""
    return None if tensor.dtype == torch.float64 else cpu_library()


@functools.cache
def cpu_library() -> NativeLibrary | None:
    """The CPU kernels where they were built.

    A library that is there but must not be loaded raises: to fall back silently would hide it for ever.
    """
    return None if library_path(SCAN_LIBRARY) is None else load_native()


@contextmanager
def current_stream(device: torch.device) -> Iterator[int]:
    """Within, a CUDA device is the current one; gives its current stream's `cudaStream_t`.

    Copies and outputs made inside belong to that stream, so torch's allocator may hand their memory on to
    later work of the stream as soon as their tensors go: nothing has to be waited for.
    """
    with torch.cuda.device(device):
        yield torch.cuda.current_stream(device).cuda_stream


def _rows(tensor: Tensor) -> Tensor:
    """The tensor itself where each token's channels lie together in memory, else a contiguous copy."""
    if tensor.dim() < 2:
        return tensor
    if tensor.numel() == 0:  # whose strides may be anything
        return tensor.new_empty(tensor.shape)
    apart = tensor.stride(-2) >= tensor.shape[-1] or tensor.shape[-2] == 1
    return tensor if tensor.stride(-1) == 1 and apart else tensor.contiguous()


def _laid_out(name: str, tensor: Tensor | None) -> Tensor | None:
    """The tensor as the kernels take it: activations with their channels together, the others contiguous."""
    if tensor is None:
        return None
    return _rows(tensor) if name in _ACTIVATIONS else tensor.contiguous()


def _by_gradient(names: Sequence[str], outputs: Sequence[Tensor | None]) -> dict[str, Tensor | None]:
    return {GRADIENT + name: output for name, output in zip(names, outputs, strict=True)}


def _buffers(named: Mapping[str, Tensor | None]) -> dict[str, Buffer | None]:
    return {name: None if tensor is None else _buffer(tensor) for name, tensor in named.items()}


def _buffer(tensor: Tensor) -> Buffer:
    """The memory of a tensor, which must outlive the call."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Buffer(tensor.data_ptr(), dtype, tuple(tensor.shape), tensor.stride())
