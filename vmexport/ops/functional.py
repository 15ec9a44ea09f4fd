"""The two operators as functions: eager and traced calls, and nodes of an ONNX graph during export."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vmexport.ops import onnx_nodes
from vmexport.ops.schema import TokenOrder
from vmexport.ops.torch_checks import check_tensors
from vmexport.ops.torch_ops import causal_conv1d_op, selective_scan_op
from vmexport.ops.validate import check_directions, check_scale, check_whole


def directional_selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, BC: Tensor,
    D: Tensor | None, delta_bias: Tensor | None, z: Tensor | None, *,
    directions: Sequence[int], tokens_per_frame: int, class_token: int, scale: float = 1.0,
) -> Tensor:  # fmt: skip
    """Selective scans in several token orders, summed and gated: `scale * SiLU(z) * sum_s scan_s`.

    Letters: `S` directions, `B` batch, `L` tokens (class token included), `D` channels, `N` states.
    Everything is in natural token order; the operator visits the tokens in each direction's own order (paper
    section 4.4). `T` is float32, float16 or bfloat16 (the slow reference serves float64); sums and states are
    float32.

    Args:
        u: `(S, B, L, D)` T, after convolution and SiLU.
        delta: `(S, B, L, D)` T, without bias; softplus is applied inside.
        A: `(S, D, N)` float32.
        BC: `(S, B, L, 2N)` T, B then C.
        D: `(S, D)` float32 skip, or None.
        delta_bias: `(S, D)` float32, or None.
        z: `(B, L, D)` T gate, or None.
        directions: one `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of one frame; matters to the spatial and temporal orders only.
        class_token: 1 where token 0 is a class token, which backward orders visit last.
        scale: factor on the sum of the directions.

    Returns:
        y `(B, L, D)` T.

    Raises:
        ShapeError: a shape, dtype, order or attribute does not fit; names the tensor, expected and got.
        EnvironmentProblem: the native library must not be loaded (not trusted, or of another version).
        UsageError: forward-mode differentiation (`torch.func.jvp`), or a second derivative.
    """
    check_tensors(
        "selective_scan",
        {"u": u, "delta": delta, "A": A, "BC": BC},
        {"D": D, "delta_bias": delta_bias, "z": z},
    )
    orders = check_directions("selective_scan", directions)
    check_whole("selective_scan", tokens_per_frame=tokens_per_frame, class_token=class_token)
    scale = check_scale("selective_scan", scale)
    if torch.onnx.is_in_onnx_export():
        order = TokenOrder(orders, tokens_per_frame, class_token)
        return onnx_nodes.selective_scan_node(u, delta, A, BC, D, delta_bias, z, order=order, scale=scale)
    y, _ = selective_scan_op(
        u, delta, A, BC, D, delta_bias, z, orders, tokens_per_frame, class_token, scale, True
    )
    return y  # type: ignore[no-any-return]


def causal_conv1d(
    x: Tensor, weight: Tensor, bias: Tensor | None, *,
    directions: Sequence[int], tokens_per_frame: int, class_token: int,
) -> Tensor:  # fmt: skip
    """Causal depthwise convolution and SiLU along each direction's token order.

    Letters: `S` directions, `B` batch, `L` tokens, `D` channels, `K` taps (1 to 8).

    Args:
        x: `(B, L, D)` float32, float16 or bfloat16.
        weight: `(S, D, K)` float32; the last tap meets the present token.
        bias: `(S, D)` float32, or None.
        directions: one `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of one frame; matters to the spatial and temporal orders only.
        class_token: 1 where token 0 is a class token, which backward orders visit last.

    Returns:
        `(S, B, L, D)` in x's dtype, tokens in natural order.

    Raises:
        ShapeError: a shape, dtype, order or attribute does not fit; names the tensor, expected and got.
        EnvironmentProblem: the native library must not be loaded (not trusted, or of another version).
        UsageError: forward-mode differentiation (`torch.func.jvp`), or a second derivative.
    """
    check_tensors("causal_conv1d", {"x": x, "weight": weight}, {"bias": bias})
    orders = check_directions("causal_conv1d", directions)
    check_whole("causal_conv1d", tokens_per_frame=tokens_per_frame, class_token=class_token)
    if torch.onnx.is_in_onnx_export():
        order = TokenOrder(orders, tokens_per_frame, class_token)
        return onnx_nodes.causal_conv1d_node(x, weight, bias, order=order)
    return causal_conv1d_op(x, weight, bias, orders, tokens_per_frame, class_token)  # type: ignore[no-any-return]
