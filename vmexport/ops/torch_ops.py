"""`torch.ops.vmexport.selective_scan` and `torch.ops.vmexport.causal_conv1d`.

CPU tensors go to the native kernels where those are built, everything else to the reference. The native
library is reached through its C ABI, so that nothing here depends on torch's own C++ interface.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from vmexport.ops import gradients
from vmexport.ops.buffer import Buffer
from vmexport.ops.loading import SCAN_LIBRARY, library_path
from vmexport.ops.native import NativeLibrary, Order, load_native
from vmexport.ops.reference import causal_conv1d_reference, compute_dtype, selective_scan_reference
from vmexport.ops.torch_checks import CONV_ARGUMENTS, SCAN_ARGUMENTS, check_conv, check_scan


def _scan(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The scan on any device: y `(B, L, D)` and the last state `(S, B, D, N)`."""
    check_scan(u, delta, A, BC, D, delta_bias, z, directions, tokens_per_frame, class_token)
    y, last_state = selective_scan_reference(
        u, delta, A, BC, D, delta_bias, z,
        directions=directions, tokens_per_frame=tokens_per_frame, class_token=class_token,
        scale=scale, delta_softplus=delta_softplus, return_last_state=True,
    )  # fmt: skip
    return y.contiguous(), last_state.contiguous()


def _scan_cpu(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The scan on CPU tensors."""
    library = _native_for(u)
    if library is None:
        return _scan(u, delta, A, BC, D, delta_bias, z,
                     directions, tokens_per_frame, class_token, scale, delta_softplus)  # fmt: skip
    y = u.new_empty(u.shape[1:])
    last_state = A.new_zeros((*u.shape[:2], *A.shape[1:]))
    u, delta, A, BC = _rows(u), _rows(delta), A.contiguous(), _rows(BC)  # these names keep the copies alive
    D, delta_bias = (None if t is None else t.contiguous() for t in (D, delta_bias))
    z = None if z is None else _rows(z)
    library.scan(
        _buffer(u), _buffer(delta), _buffer(A), _buffer(BC),
        None if D is None else _buffer(D), None if delta_bias is None else _buffer(delta_bias),
        None if z is None else _buffer(z), _buffer(y), _buffer(last_state),
        order=Order(directions, tokens_per_frame, class_token),
        scale=scale, delta_softplus=delta_softplus, threads=torch.get_num_threads(),
    )  # fmt: skip
    return y, last_state


def _conv(
    x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> Tensor:  # fmt: skip
    """The convolution on any device: `(S, B, L, D)`."""
    check_conv(x, weight, bias, directions, tokens_per_frame, class_token)
    order = {"tokens_per_frame": tokens_per_frame, "class_token": class_token}
    return causal_conv1d_reference(x, weight, bias, directions=directions, **order).contiguous()


def _conv_cpu(
    x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> Tensor:  # fmt: skip
    """The convolution on CPU tensors."""
    library = _native_for(x)
    if library is None:
        return _conv(x, weight, bias, directions, tokens_per_frame, class_token)
    u = x.new_empty((len(directions), *x.shape))
    x, weight = _rows(x), weight.contiguous()  # these names keep the copies alive
    bias = None if bias is None else bias.contiguous()
    library.conv(
        _buffer(x), _buffer(weight), None if bias is None else _buffer(bias), _buffer(u),
        order=Order(directions, tokens_per_frame, class_token), threads=torch.get_num_threads(),
    )  # fmt: skip
    return u


selective_scan_op = torch.library.custom_op(
    "vmexport::selective_scan", _scan, mutates_args=(), schema=f"({SCAN_ARGUMENTS}) -> (Tensor, Tensor)"
)
selective_scan_op.register_kernel("cpu", _scan_cpu)

causal_conv1d_op = torch.library.custom_op(
    "vmexport::causal_conv1d", _conv, mutates_args=(), schema=f"({CONV_ARGUMENTS}) -> Tensor"
)
causal_conv1d_op.register_kernel("cpu", _conv_cpu)


selective_scan_op.register_autograd(gradients.scan_backward, setup_context=gradients.save_scan)
causal_conv1d_op.register_autograd(gradients.conv_backward, setup_context=gradients.save_conv)


@selective_scan_op.register_fake
def _scan_fake(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    check_scan(u, delta, A, BC, D, delta_bias, z, directions, tokens_per_frame, class_token)
    state = u.new_empty((*u.shape[:2], *A.shape[1:]), dtype=compute_dtype(u))
    return u.new_empty(u.shape[1:]), state


@causal_conv1d_op.register_fake
def _conv_fake(
    x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> Tensor:  # fmt: skip
    check_conv(x, weight, bias, directions, tokens_per_frame, class_token)
    return x.new_empty((len(directions), *x.shape))


def _native_for(tensor: Tensor) -> NativeLibrary | None:
    """The native kernels, or None where the reference must do: nothing was built, or the dtype is float64."""
    return None if tensor.dtype == torch.float64 else _native()


@functools.cache
def _native() -> NativeLibrary | None:
    """The native kernels where they were built.

    A library that is there but must not be loaded raises: to fall back silently would hide it for ever.
    """
    return None if library_path(SCAN_LIBRARY) is None else load_native()


def _rows(tensor: Tensor) -> Tensor:
    """The tensor itself where each token's channels lie together in memory, else a contiguous copy."""
    if tensor.dim() < 2:
        return tensor
    if tensor.numel() == 0:  # whose strides may be anything
        return tensor.new_empty(tensor.shape)
    apart = tensor.stride(-2) >= tensor.shape[-1] or tensor.shape[-2] == 1
    return tensor if tensor.stride(-1) == 1 and apart else tensor.contiguous()


def _buffer(tensor: Tensor) -> Buffer:
    """The memory of a CPU tensor, which must outlive the call."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Buffer(tensor.data_ptr(), dtype, tuple(tensor.shape), tensor.stride())
