"""Gradients by mamba-ssm's kernels: layouts, orders and sums, with a double of its extension on the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import SCAN_CASES, ScanCase, to_numpy, to_torch
from fake_mamba import FakeMamba
from tolerances import HALF_CHAIN, OPERATOR, assert_close

from vmexport.ops import gradients
from vmexport.ops.mamba_backward import mamba_serves, selective_scan_backward_mamba
from vmexport.ops.reference_backward import selective_scan_backward_reference
from vmexport.ops.schema import TokenOrder

CASES = tuple(
    case for case in SCAN_CASES if case.L * case.D * case.N < 20_000 and case.decay < 1e3 and case.L > 0
)


def given(case: ScanCase, dtype: str) -> tuple[Any, torch.Tensor]:
    """Tensors of a case, and a gradient of its result in the same dtype."""
    tensors = tuple(to_torch(array) for array in case.inputs(dtype).values())
    generator = torch.Generator().manual_seed(3)
    grad_y = torch.randn(case.B, case.L, case.D, generator=generator)
    return tensors, grad_y.to(tensors[0].dtype)


def reference(case: ScanCase, grad_y: torch.Tensor, tensors: Any, dtype: Any = torch.float64) -> Any:
    """The written-out gradients in float64."""
    wide: Any = tuple(None if t is None else t.to(dtype) for t in tensors)
    state = wide[2].new_zeros((case.S, case.B, case.D, case.N))
    how: dict[str, Any] = {"scale": case.scale, "delta_softplus": case.delta_softplus}
    return selective_scan_backward_reference(grad_y.to(dtype), state, wide, **case.order, **how)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernels_gradients_are_those_of_the_reference(case: ScanCase, dtype: str) -> None:
    tensors, grad_y = given(case, dtype)
    fake = FakeMamba()
    how: dict[str, Any] = {"scale": case.scale, "delta_softplus": case.delta_softplus}
    got = selective_scan_backward_mamba(fake, grad_y, tensors, TokenOrder(**case.order), **how)
    assert fake.calls == ["fwd", "bwd"]
    present = [tensor for tensor in tensors if tensor is not None]
    for tensor, one, other in zip(present, got, reference(case, grad_y, tensors), strict=True):
        assert one.dtype == tensor.dtype
        assert one.is_contiguous()
        assert_close(to_numpy(one), to_numpy(other), HALF_CHAIN[dtype])


def test_more_tokens_than_one_chunk() -> None:
    case = ScanCase("long", L=2050, D=2, N=2, directions=(0, 1), class_token=1)
    tensors, grad_y = given(case, "float32")
    how: dict[str, Any] = {"scale": 1.0, "delta_softplus": True}
    got = selective_scan_backward_mamba(FakeMamba(), grad_y, tensors, TokenOrder(**case.order), **how)
    for one, other in zip(got, reference(case, grad_y, tensors), strict=True):
        assert_close(to_numpy(one), to_numpy(other), OPERATOR["float32"])


@pytest.mark.parametrize("with_state", [False, True])
def test_the_last_states_gradient_goes_to_the_reference(
    monkeypatch: pytest.MonkeyPatch, with_state: bool
) -> None:
    """mamba-ssm ignores that gradient, so its kernels must not be asked."""
    case = ScanCase("state", L=9, D=3, N=2, class_token=1)
    tensors, grad_y = given(case, "float32")
    fake = FakeMamba()
    monkeypatch.setattr(gradients, "mamba_kernels", lambda: fake)
    state = torch.ones(case.S, case.B, case.D, case.N) if with_state else None
    order: Any = (case.directions, case.tokens_per_frame, case.class_token, case.scale, True, [True] * 7)
    got: list[Any] = gradients._scan_backward_cuda(grad_y, state, *tensors, *order)
    want: list[Any] = gradients._scan_backward(grad_y, state, *tensors, *order)
    assert bool(fake.calls) is not with_state
    for one, other in zip(got, want, strict=True):
        assert_close(to_numpy(one), to_numpy(other), OPERATOR["float32"])


@pytest.mark.parametrize(
    ("sizes", "dtype", "served"),
    [
        ({}, torch.float32, True),
        ({}, torch.float64, False),
        ({"B": 0}, torch.float32, False),
        ({"L": 0}, torch.float32, False),
        ({"D": 32767}, torch.float32, True),
        ({"D": 32768}, torch.float32, False),
    ],
)
def test_what_the_kernels_cannot_take_is_not_given_to_them(
    sizes: dict[str, int], dtype: torch.dtype, served: bool
) -> None:
    n = {"S": 2, "B": 1, "L": 1, "D": 4, **sizes}
    u = torch.empty(n["S"], n["B"], n["L"], n["D"], dtype=dtype)
    matrix = torch.empty(n["S"], n["D"], 16)
    assert mamba_serves((u, u, matrix, u, None, None, None)) is served
