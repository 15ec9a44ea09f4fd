"""causal-conv1d's functions over its extension, computed on a CPU in float64.

The checks are those of its `causal_conv1d_bwd` for channels before tokens (layout, dtypes, shapes), so that a
call which passes here has the shape that the real kernels take. The arithmetic is PyTorch's own convolution
and autograd through it, which shares nothing with the code under test.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

TYPES = (torch.float32, torch.float16, torch.bfloat16)


class FakeCausalConv1d:
    """Stands for the module; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def causal_conv1d_bwd_function(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, dout: Tensor, seq_idx: Tensor | None,
        initial_states: Tensor | None, dfinal_states: Tensor | None, dx: Tensor | None,
        return_dinitial_states: bool, silu_activation: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None, None]:  # fmt: skip
        """dx, dweight, dbias in the dtypes of what they belong to, and no gradient of initial states."""
        self.calls += 1
        _check(x, weight, bias, dout)
        assert seq_idx is None
        assert initial_states is None
        assert dfinal_states is None
        assert dx is None
        assert not return_dinitial_states
        channels, taps = weight.shape
        given = [tensor for tensor in (x, weight, bias) if tensor is not None]
        with torch.enable_grad():
            leaves = [tensor.detach().double().requires_grad_() for tensor in given]
            padded = F.pad(leaves[0], (taps - 1, 0))
            out = F.conv1d(padded, leaves[1][:, None], None if bias is None else leaves[2], groups=channels)
            out = F.silu(out) if silu_activation else out
            grads = torch.autograd.grad(out, leaves, dout.double())
        found = [grad.to(tensor.dtype) for grad, tensor in zip(grads, given, strict=True)]
        return found[0], found[1], None if bias is None else found[2], None


def _check(x: Tensor, weight: Tensor, bias: Tensor | None, dout: Tensor) -> None:
    """What the extension insists on."""
    assert x.dtype in TYPES
    assert weight.dtype in TYPES
    assert 2 <= weight.shape[1] <= 4
    assert weight.shape[0] == x.shape[1] <= 65535
    assert x.stride(2) == 1
    assert dout.dtype == x.dtype
    assert dout.shape == x.shape
    assert dout.stride(2) == 1
    if bias is not None:
        assert bias.dtype == weight.dtype
        assert bias.shape == weight.shape[:1]
        assert bias.stride(0) == 1
