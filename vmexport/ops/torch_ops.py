"""`torch.ops.vmexport.selective_scan` and `torch.ops.vmexport.causal_conv1d`.

CPU tensors go to the native CPU kernels where those are built and to the reference elsewhere. CUDA tensors go
to the CUDA kernels, launched on the current stream of their device; where these are not built, or not for
this GPU, the call raises `EnvironmentProblem` with the command that builds them: the reference is hundreds of
times slower, so falling back to it would only hide the fault (who wants it calls `vmexport.ops.reference`).
Such a call waits for nothing and may be captured in a CUDA graph, once a call outside has loaded the library.
float64 and other devices are served by the reference. The libraries are reached through their C ABI, so that
nothing here depends on torch's own C++ interface.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from vmexport.ops import gradients
from vmexport.ops.native_cuda import load_native_cuda
from vmexport.ops.reference import causal_conv1d_reference, compute_dtype, selective_scan_reference
from vmexport.ops.schema import SCAN_INPUTS, TokenOrder
from vmexport.ops.torch_checks import CONV_ARGUMENTS, SCAN_ARGUMENTS, check_conv, check_devices, check_scan
from vmexport.ops.torch_native import current_stream, native_for, run_conv, run_scan
from vmexport.ops.transforms import Operator


def _scan(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The scan on any device: y `(B, L, D)` and the last state `(S, B, D, N)`."""
    check_scan(u, delta, A, BC, D, delta_bias, z, directions, tokens_per_frame, class_token, scale)
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
    library = native_for(u)
    if library is None:
        return _scan(u, delta, A, BC, D, delta_bias, z,
                     directions, tokens_per_frame, class_token, scale, delta_softplus)  # fmt: skip
    return run_scan(
        functools.partial(library.scan, threads=torch.get_num_threads()),
        (u, delta, A, BC, D, delta_bias, z),
        TokenOrder(directions, tokens_per_frame, class_token),
        scale=scale, delta_softplus=delta_softplus,
    )  # fmt: skip


def _scan_cuda(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The scan on CUDA tensors: on the current stream, without waiting."""
    tensors = (u, delta, A, BC, D, delta_bias, z)
    check_devices("selective_scan", dict(zip(SCAN_INPUTS, tensors, strict=True)))
    if u.dtype == torch.float64:
        return _scan(*tensors, directions, tokens_per_frame, class_token, scale, delta_softplus)
    library = load_native_cuda()
    with current_stream(u.device) as stream:
        return run_scan(
            functools.partial(library.scan, stream=stream),
            tensors,
            TokenOrder(directions, tokens_per_frame, class_token),
            scale=scale, delta_softplus=delta_softplus,
        )  # fmt: skip


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
    library = native_for(x)
    if library is None:
        return _conv(x, weight, bias, directions, tokens_per_frame, class_token)
    call = functools.partial(library.conv, threads=torch.get_num_threads())
    return run_conv(call, x, weight, bias, TokenOrder(directions, tokens_per_frame, class_token))


def _conv_cuda(
    x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> Tensor:  # fmt: skip
    """The convolution on CUDA tensors: on the current stream, without waiting."""
    check_devices("causal_conv1d", {"x": x, "weight": weight, "bias": bias})
    if x.dtype == torch.float64:
        return _conv(x, weight, bias, directions, tokens_per_frame, class_token)
    library = load_native_cuda()
    with current_stream(x.device) as stream:
        call = functools.partial(library.conv, stream=stream)
        return run_conv(call, x, weight, bias, TokenOrder(directions, tokens_per_frame, class_token))


selective_scan_op = Operator(
    "vmexport::selective_scan", _scan, schema=f"({SCAN_ARGUMENTS}) -> (Tensor, Tensor)"
)
selective_scan_op.register_kernel("cpu", _scan_cpu)
selective_scan_op.register_kernel("cuda", _scan_cuda)

causal_conv1d_op = Operator("vmexport::causal_conv1d", _conv, schema=f"({CONV_ARGUMENTS}) -> Tensor")
causal_conv1d_op.register_kernel("cpu", _conv_cpu)
causal_conv1d_op.register_kernel("cuda", _conv_cuda)


selective_scan_op.register_autograd(gradients.scan_backward, setup_context=gradients.save_scan)
causal_conv1d_op.register_autograd(gradients.conv_backward, setup_context=gradients.save_conv)


@selective_scan_op.register_fake
def _scan_fake(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float, delta_softplus: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    check_scan(u, delta, A, BC, D, delta_bias, z, directions, tokens_per_frame, class_token, scale)
    state = u.new_empty((*u.shape[:2], *A.shape[1:]), dtype=compute_dtype(u))
    return u.new_empty(u.shape[1:]), state


@causal_conv1d_op.register_fake
def _conv_fake(
    x: Tensor, weight: Tensor, bias: Tensor | None,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> Tensor:  # fmt: skip
    check_conv(x, weight, bias, directions, tokens_per_frame, class_token)
    return x.new_empty((len(directions), *x.shape))
