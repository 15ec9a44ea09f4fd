"""torch tensors through the C ABI: outputs from torch's allocator, copies only where needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from vmexport.ops.binding import Order
from vmexport.ops.buffer import Buffer
from vmexport.ops.reference_backward import ScanTensors


def run_scan(
    call: Callable[..., None], tensors: ScanTensors, order: Order, *, scale: float, delta_softplus: bool
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
    call: Callable[..., None], x: Tensor, weight: Tensor, bias: Tensor | None, order: Order
) -> Tensor:
    """One convolution by a library, `(S, B, L, D)`; arguments as in `run_scan`."""
    u = x.new_empty((len(order.directions), *x.shape))
    x, weight = _rows(x), weight.contiguous()  # these names keep the copies alive
    bias = None if bias is None else bias.contiguous()
    call(
        _buffer(x), _buffer(weight), None if bias is None else _buffer(bias), _buffer(u), order=order
    )  # fmt: skip
    return u


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


def _buffer(tensor: Tensor) -> Buffer:
    """The memory of a tensor, which must outlive the call."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Buffer(tensor.data_ptr(), dtype, tuple(tensor.shape), tensor.stride())
