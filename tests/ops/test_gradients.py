"""Gradients: public data, autograd through the reference, numeric differences, and torch's own checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import CONV_CASES, SCAN_CASES, ConvCase, ScanCase, to_numpy, to_torch
from tolerances import GRADIENT, HALF_GRADIENT, assert_close

from vmexport.errors import UsageError
from vmexport.ops import causal_conv1d, directional_selective_scan
from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference

SMALL_SCANS = tuple(
    case for case in SCAN_CASES if case.L * case.D * case.N < 20_000 and case.decay < 1e3 and not case.strided
)
SMALL_CONVS = tuple(case for case in CONV_CASES if case.L * case.D < 3_000)


def leaves(case: ScanCase | ConvCase, dtype: torch.dtype, name: str = "float32") -> list[Any]:
    """The case's inputs, asking for gradients; float64 parameters beside float64 activations."""
    wide = dtype == torch.float64
    tensors = [to_torch(array, dtype if wide else None) for array in case.inputs(name).values()]
    return [None if tensor is None else tensor.clone().requires_grad_() for tensor in tensors]


def scan(case: ScanCase, tensors: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """The registered operator, with the state."""
    order = (list(case.directions), case.tokens_per_frame, case.class_token)
    result: tuple[torch.Tensor, torch.Tensor] = torch.ops.vmexport.selective_scan(
        *tensors, *order, case.scale, case.delta_softplus
    )
    return result


def pull_back(outputs: tuple[torch.Tensor, ...], tensors: list[Any]) -> list[torch.Tensor]:
    """Gradients of a fixed random combination of the outputs."""
    torch.manual_seed(1)
    weights = [torch.randn(output.shape).half().to(output.dtype) for output in outputs]
    present = [tensor for tensor in tensors if tensor is not None]
    return list(torch.autograd.grad(outputs, present, weights))


@pytest.mark.parametrize("case", SMALL_SCANS, ids=lambda case: case.name)
def test_scan_gradients_are_those_of_autograd(case: ScanCase) -> None:
    tensors = leaves(case, torch.float64)
    plain = selective_scan_reference(
        *tensors,
        **case.order,
        scale=case.scale,
        delta_softplus=case.delta_softplus,
        return_last_state=True,
    )
    for got, want in zip(pull_back(scan(case, tensors), tensors), pull_back(plain, tensors), strict=True):
        assert_close(to_numpy(got), to_numpy(want), GRADIENT)


@pytest.mark.parametrize("case", SMALL_CONVS, ids=lambda case: case.name)
def test_conv_gradients_are_those_of_autograd(case: ConvCase) -> None:
    tensors = leaves(case, torch.float64)
    got = pull_back((causal_conv1d(*tensors, **case.order),), tensors)
    want = pull_back((causal_conv1d_reference(*tensors, **case.order),), tensors)
    for one, other in zip(got, want, strict=True):
        assert_close(to_numpy(one), to_numpy(other), GRADIENT)


def test_half_precision_gradients_keep_their_dtypes() -> None:
    case = ScanCase("half", L=33, D=17, N=4, directions=(0, 2), class_token=1, tokens_per_frame=8)
    half = leaves(case, torch.float16, "float16")
    wide = [tensor.detach().double().requires_grad_() for tensor in half]
    got, want = (pull_back(scan(case, tensors)[:1], tensors) for tensors in (half, wide))
    for tensor, one, other in zip(half, got, want, strict=True):
        assert one.dtype == tensor.dtype
        assert_close(to_numpy(one), to_numpy(other), HALF_GRADIENT)


@pytest.mark.parametrize("softplus", [True, False])
def test_reference_scan_agrees_with_numeric_differences(softplus: bool) -> None:
    case = ScanCase("tiny", L=5, D=2, N=2, directions=(2, 3), class_token=1, tokens_per_frame=2, scale=0.5,
                    delta_softplus=softplus)  # fmt: skip

    def function(*tensors: torch.Tensor) -> Any:
        return selective_scan_reference(
            *tensors,
            **case.order,
            scale=case.scale,
            delta_softplus=softplus,
            return_last_state=True,
        )

    assert torch.autograd.gradcheck(function, leaves(case, torch.float64))


def test_operators_agree_with_numeric_differences() -> None:
    scan_case = ScanCase("tiny", L=5, D=2, N=2, directions=(0, 1), class_token=1, scale=0.5)
    assert torch.autograd.gradcheck(
        lambda *tensors: scan(scan_case, list(tensors)), leaves(scan_case, torch.float64)
    )
    conv_case = ConvCase("tiny", L=5, D=2, K=3, directions=(0, 1), class_token=1)
    assert torch.autograd.gradcheck(
        lambda *tensors: causal_conv1d(*tensors, **conv_case.order), leaves(conv_case, torch.float64)
    )


@pytest.mark.parametrize("without", [(), ("D", "delta_bias", "z")], ids=["all_inputs", "few_inputs"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_torch_accepts_the_scan(without: tuple[str, ...], dtype: str) -> None:
    case = ScanCase(
        "check", L=9, D=5, N=4, class_token=1, tokens_per_frame=4, directions=(0, 2), without=without
    )
    order = (list(case.directions), case.tokens_per_frame, case.class_token)
    arguments = (*leaves(case, torch.float32, dtype), *order, 0.5, True)
    torch.library.opcheck(torch.ops.vmexport.selective_scan, arguments)


@pytest.mark.parametrize("without", [(), ("bias",)], ids=["bias", "no_bias"])
def test_torch_accepts_the_convolution(without: tuple[str, ...]) -> None:
    case = ConvCase(
        "check", L=9, D=5, K=4, class_token=1, tokens_per_frame=4, directions=(0, 3), without=without
    )
    arguments = (*leaves(case, torch.float32), list(case.directions), 4, 1)
    torch.library.opcheck(torch.ops.vmexport.causal_conv1d, arguments)


def test_no_second_derivative_is_made_up() -> None:
    case = ScanCase("second", L=4, D=2, N=2)
    tensors = leaves(case, torch.float64)
    (first,) = torch.autograd.grad(scan(case, tensors)[0].sum(), tensors[:1], create_graph=True)
    with pytest.raises(UsageError, match="no second derivative"):
        torch.autograd.grad(first.sum(), tensors[:1])


@pytest.mark.parametrize("shape", [(0, 7), (2, 0)], ids=["no_batch", "no_tokens"])
def test_empty_calls_give_empty_results(shape: tuple[int, int]) -> None:
    batch, length = shape
    case = ScanCase("empty", L=length, D=3, N=2, B=batch)
    tensors = leaves(case, torch.float32)
    y, state = scan(case, tensors)
    assert y.shape == (batch, length, 3)
    assert not state.any()
    gradients = torch.autograd.grad(y.sum() + state.sum(), tensors)
    assert all(np.isfinite(to_numpy(gradient)).all() for gradient in gradients)
    u = causal_conv1d(y, torch.ones(2, 3, 4), None, directions=(0, 1), tokens_per_frame=1, class_token=0)
    assert u.shape == (2, batch, length, 3)


def test_a_compiled_model_keeps_the_operators_whole() -> None:
    case = ScanCase("compiled", L=9, D=5, N=4, class_token=1, tokens_per_frame=4, directions=(0, 2))
    weight = torch.randn(2, 5, 4)

    def model(u: torch.Tensor, *others: Any) -> torch.Tensor:
        y = directional_selective_scan(u, *others, **case.order)
        return causal_conv1d(y, weight, None, **case.order).sum()

    tensors = leaves(case, torch.float32)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    for got, want in zip(
        torch.autograd.grad(compiled(*tensors), tensors),
        torch.autograd.grad(model(*tensors), tensors),
        strict=True,
    ):
        assert torch.equal(got, want)
