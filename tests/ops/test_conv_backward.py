"""Gradients by causal-conv1d's kernels: layouts, orders and sums, with a double of them on the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import CONV_CASES, ConvCase, to_numpy, to_torch
from fake_causal_conv1d import FakeCausalConv1d
from tolerances import HALF_CHAIN, OPERATOR, assert_close

from vmexport.ops import gradients
from vmexport.ops.conv_backward import TAPS, causal_conv1d_backward_kernels, conv_serves
from vmexport.ops.reference_backward import causal_conv1d_backward_reference
from vmexport.ops.schema import TokenOrder

CASES = tuple(case for case in CONV_CASES if case.K in TAPS)


def given(case: ConvCase, dtype: str) -> tuple[Any, torch.Tensor]:
    """x, weight and bias of a case, and a gradient of its result in the same dtype."""
    tensors = tuple(to_torch(array) for array in case.inputs(dtype).values())
    generator = torch.Generator().manual_seed(3)
    grad_u = torch.randn(len(case.directions), case.B, case.L, case.D, generator=generator)
    return tensors, grad_u.to(tensors[0].dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernels_gradients_are_those_of_the_reference(case: ConvCase, dtype: str) -> None:
    tensors, grad_u = given(case, dtype)
    fake = FakeCausalConv1d()
    got = causal_conv1d_backward_kernels(fake, grad_u, tensors, TokenOrder(**case.order))
    assert fake.calls == 1
    wide: Any = [None if tensor is None else tensor.double() for tensor in tensors]
    want = causal_conv1d_backward_reference(grad_u.double(), *wide, **case.order)
    present = [tensor for tensor in tensors if tensor is not None]
    for tensor, one, other in zip(present, got, want, strict=True):
        assert (one.dtype, one.shape) == (tensor.dtype, tensor.shape)
        assert one.is_contiguous()
        assert_close(to_numpy(one), to_numpy(other), HALF_CHAIN[dtype])


def test_weights_may_be_wider_than_the_tokens() -> None:
    """As under autocast: half tokens, float32 weights; a bias of yet another dtype comes back in its own."""
    case = CASES[0]
    (x, weight, bias), grad_u = given(case, "float32")
    order = TokenOrder(**case.order)
    mixed: Any = (x.bfloat16(), weight, bias.double())
    got = causal_conv1d_backward_kernels(FakeCausalConv1d(), grad_u, mixed, order)
    assert [grad.dtype for grad in got] == [torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize("taps", [4, 5])
def test_cuda_tensors_take_the_kernels_where_they_can(
    monkeypatch: pytest.MonkeyPatch, installed: bool, taps: int
) -> None:
    case = ConvCase("small", L=9, D=3, K=taps, class_token=1, tokens_per_frame=4, directions=(0, 1))
    tensors, grad_u = given(case, "float32")
    fake = FakeCausalConv1d()
    monkeypatch.setattr(gradients, "conv_kernels", lambda: fake if installed else None)
    order: Any = (case.directions, case.order["tokens_per_frame"], case.class_token, [True, False, True])
    got: list[Any] = gradients._conv_backward_cuda(grad_u, *tensors, *order)
    want: list[Any] = gradients._conv_backward(grad_u, *tensors, *order)
    assert fake.calls == (installed and taps in TAPS)
    for one, other in zip(got, want, strict=True):
        assert_close(to_numpy(one), to_numpy(other), OPERATOR["float32"])


@pytest.mark.parametrize(
    ("sizes", "dtype", "served"),
    [
        ({}, torch.float32, True),
        ({}, torch.float64, False),
        ({"K": 1}, torch.float32, False),
        ({"K": 5}, torch.float32, False),
        ({"B": 0}, torch.float32, False),
        ({"L": 0}, torch.float32, False),
        ({"D": 32767}, torch.float32, True),
        ({"D": 32768}, torch.float32, False),
    ],
)
def test_what_the_kernels_cannot_take_is_not_given_to_them(
    sizes: dict[str, int], dtype: torch.dtype, served: bool
) -> None:
    n = {"S": 2, "B": 1, "L": 1, "D": 4, "K": 4, **sizes}
    x = torch.empty(n["B"], n["L"], n["D"], dtype=dtype)
    assert conv_serves(x, torch.empty(n["S"], n["D"], n["K"])) is served
