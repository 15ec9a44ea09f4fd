"""Gradients of both operators in torch.

On CPU tensors they come from the native kernels where those are built, on CUDA tensors from those of
mamba-ssm (the scan) and causal-conv1d (the convolution) where they are installed; all others are the
reference's. The backward passes are operators themselves, so that tracing never unrolls the loop over
tokens; they have no derivatives, and say so. A gradient that nobody asked for is not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from torch import Tensor

from vmexport.errors import UsageError
from vmexport.ops.conv_backward import causal_conv1d_backward_kernels, conv_serves
from vmexport.ops.mamba_backward import mamba_serves, selective_scan_backward_mamba
from vmexport.ops.reference_backward import (
    causal_conv1d_backward_reference,
    selective_scan_backward_reference,
)
from vmexport.ops.schema import TokenOrder
from vmexport.ops.torch_checks import CONV_ARGUMENTS, SCAN_ARGUMENTS
from vmexport.ops.torch_native import native_for, new_gradients, run_conv_backward, run_scan_backward
from vmexport.ops.training_kernels import conv_kernels, mamba_kernels
from vmexport.ops.transforms import Operator

_SCAN_TENSORS, _CONV_TENSORS = 7, 3


def _scan_backward(
    grad_y: Tensor, grad_last_state: Tensor | None, u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
    wanted: Sequence[bool],
) -> list[Tensor]:  # fmt: skip
    """The wanted gradients of the tensors that are there, in the order of the arguments."""
    tensors = (u, delta, A, BC, D, delta_bias, z)
    if grad_last_state is None:
        grad_last_state = A.new_zeros((*u.shape[:2], *A.shape[1:]))
    grads = selective_scan_backward_reference(
        grad_y, grad_last_state, tensors,
        directions=directions, tokens_per_frame=tokens_per_frame, class_token=class_token,
        scale=scale, delta_softplus=delta_softplus,
    )  # fmt: skip
    return _chosen(grads, tensors, wanted)


def _scan_backward_cpu(
    grad_y: Tensor, grad_last_state: Tensor | None, u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
    wanted: Sequence[bool],
) -> list[Tensor]:  # fmt: skip
    """The same on CPU tensors."""
    tensors = (u, delta, A, BC, D, delta_bias, z)
    library = native_for(u)
    if library is None:
        return _scan_backward(grad_y, grad_last_state, *tensors, directions, tokens_per_frame, class_token,
                              scale, delta_softplus, wanted)  # fmt: skip
    order = TokenOrder(directions, tokens_per_frame, class_token)
    return run_scan_backward(
        library, (grad_y, grad_last_state), tensors, wanted, order, scale=scale, delta_softplus=delta_softplus
    )


def _scan_backward_cuda(
    grad_y: Tensor, grad_last_state: Tensor | None, u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
    wanted: Sequence[bool],
) -> list[Tensor]:  # fmt: skip
    """The same on CUDA tensors, by mamba-ssm's kernels where they are there and can."""
    tensors = (u, delta, A, BC, D, delta_bias, z)
    kernels = mamba_kernels() if grad_last_state is None and mamba_serves(tensors) else None
    if kernels is None:
        return _scan_backward(grad_y, grad_last_state, *tensors, directions, tokens_per_frame, class_token,
                              scale, delta_softplus, wanted)  # fmt: skip
    order = TokenOrder(tuple(directions), tokens_per_frame, class_token)
    grads = selective_scan_backward_mamba(
        kernels, grad_y, tensors, order, scale=scale, delta_softplus=delta_softplus
    )
    return _chosen(grads, tensors, wanted)


def _conv_backward(
    grad_u: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, wanted: Sequence[bool],
) -> list[Tensor]:  # fmt: skip
    """The wanted gradients of the tensors that are there, in the order of the arguments."""
    grads = causal_conv1d_backward_reference(
        grad_u, x, weight, bias,
        directions=directions, tokens_per_frame=tokens_per_frame, class_token=class_token,
    )  # fmt: skip
    return _chosen(grads, (x, weight, bias), wanted)


def _conv_backward_cpu(
    grad_u: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, wanted: Sequence[bool],
) -> list[Tensor]:  # fmt: skip
    """The same on CPU tensors."""
    library = native_for(x)
    if library is None:
        return _conv_backward(grad_u, x, weight, bias, directions, tokens_per_frame, class_token, wanted)
    order = TokenOrder(directions, tokens_per_frame, class_token)
    return run_conv_backward(library, grad_u, (x, weight, bias), wanted, order)


def _conv_backward_cuda(
    grad_u: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, wanted: Sequence[bool],
) -> list[Tensor]:  # fmt: skip
    """The same on CUDA tensors, by causal-conv1d's kernels where they are there and can."""
    kernels = conv_kernels() if conv_serves(x, weight) else None
    if kernels is None:
        return _conv_backward(grad_u, x, weight, bias, directions, tokens_per_frame, class_token, wanted)
    order = TokenOrder(tuple(directions), tokens_per_frame, class_token)
    grads = causal_conv1d_backward_kernels(kernels, grad_u, (x, weight, bias), order)
    return _chosen(grads, (x, weight, bias), wanted)


_GRAD_SCAN = Operator(
    "vmexport::selective_scan_backward",
    _scan_backward,
    schema=f"(Tensor grad_y, Tensor? grad_last_state, {SCAN_ARGUMENTS}, bool[] wanted) -> Tensor[]",
)
_GRAD_CONV = Operator(
    "vmexport::causal_conv1d_backward",
    _conv_backward,
    schema=f"(Tensor grad_u, {CONV_ARGUMENTS}, bool[] wanted) -> Tensor[]",
)
_GRAD_SCAN.register_kernel("cpu", _scan_backward_cpu)
_GRAD_SCAN.register_kernel("cuda", _scan_backward_cuda)
_GRAD_CONV.register_kernel("cpu", _conv_backward_cpu)
_GRAD_CONV.register_kernel("cuda", _conv_backward_cuda)


@_GRAD_SCAN.register_fake
def _scan_backward_fake(grad_y: Tensor, grad_last_state: Tensor | None, *arguments: Any) -> list[Tensor]:
    return _empty_gradients(arguments[:_SCAN_TENSORS], arguments[-1])


@_GRAD_CONV.register_fake
def _conv_backward_fake(grad_u: Tensor, *arguments: Any) -> list[Tensor]:
    return _empty_gradients(arguments[:_CONV_TENSORS], arguments[-1])


def _save_nothing(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """What a derivative that does not exist needs."""


def _no_second_derivative(ctx: Any, *grads: Sequence[Tensor]) -> NoReturn:
    """Autograd through a gradient ends here.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        "the operators of vmexport have no second derivative",
        "a gradient was differentiated once more (create_graph=True)",
        "call selective_scan_reference or causal_conv1d_reference of vmexport.ops.reference there (slow)",
    )


_GRAD_SCAN.register_autograd(_no_second_derivative, setup_context=_save_nothing)
_GRAD_CONV.register_autograd(_no_second_derivative, setup_context=_save_nothing)


def save_scan(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what `scan_backward` needs; a gradient that nobody asks for is None rather than zeros."""
    ctx.set_materialize_grads(False)
    _save(ctx, inputs, _SCAN_TENSORS)


def save_conv(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what `conv_backward` needs."""
    _save(ctx, inputs, _CONV_TENSORS)


def scan_backward(
    ctx: Any, grad_y: Tensor | None, grad_last_state: Tensor | None
) -> tuple[Tensor | None, ...]:
    """Gradients of all arguments of the scan, None for absent tensors and attributes."""
    saved = ctx.saved_tensors  # once: activation checkpointing lets nobody look twice
    if grad_y is None:
        grad_y = saved[0].new_zeros(saved[0].shape[1:])
    wanted = _wanted(ctx, saved)
    grads = _GRAD_SCAN(grad_y, grad_last_state, *saved, *ctx.attributes, wanted)
    return _spread(ctx, saved, grads, wanted)


def conv_backward(ctx: Any, grad_u: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of all arguments of the convolution, None for absent tensors and attributes."""
    saved = ctx.saved_tensors
    wanted = _wanted(ctx, saved)
    return _spread(ctx, saved, _GRAD_CONV(grad_u, *saved, *ctx.attributes, wanted), wanted)


def _save(ctx: Any, inputs: tuple[Any, ...], tensors: int) -> None:
    """Tensors first, attributes behind them, as in the schema."""
    ctx.save_for_backward(*inputs[:tensors])
    ctx.attributes = inputs[tensors:]


def _wanted(ctx: Any, saved: Sequence[Tensor | None]) -> list[bool]:
    """Which gradients autograd asks for, of the tensors among the arguments."""
    return [bool(needed) for needed in ctx.needs_input_grad[: len(saved)]]


def _spread(
    ctx: Any, saved: Sequence[Tensor | None], grads: Sequence[Tensor], wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Put the gradients where their tensors stood among the arguments."""
    remaining = iter(grads)
    spread = [
        None if tensor is None or not asked else next(remaining)
        for tensor, asked in zip(saved, wanted, strict=True)
    ]
    return (*spread, *(None for _ in ctx.attributes))


def _chosen(
    grads: Sequence[Tensor], tensors: Sequence[Tensor | None], wanted: Sequence[bool]
) -> list[Tensor]:
    """The wanted ones of the gradients of all tensors that are there."""
    asked = (asked for tensor, asked in zip(tensors, wanted, strict=True) if tensor is not None)
    return [grad for grad, one in zip(grads, asked, strict=True) if one]


def _empty_gradients(tensors: Sequence[Tensor | None], wanted: Sequence[bool]) -> list[Tensor]:
    """What tracing needs to know of them."""
    return [grad for grad in new_gradients(tensors, wanted) if grad is not None]
