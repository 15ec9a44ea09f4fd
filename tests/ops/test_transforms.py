"""`torch.func`, forward-mode differentiation and copies: what a transform meets at an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import ConvCase, ScanCase, to_torch
from torch import Tensor
from torch.autograd import forward_ad

from vmexport.errors import UsageError
from vmexport.ops import causal_conv1d, directional_selective_scan, selective_scan

SCAN = ScanCase("func", L=9, D=5, N=4, directions=(0, 2), class_token=1, tokens_per_frame=4, B=2)
CONV = ConvCase("func", L=9, D=5, K=4, directions=(0, 3), class_token=1, tokens_per_frame=4, B=2)


def _scan() -> tuple[Callable[..., Tensor], dict[str, Tensor]]:
    tensors = {name: to_torch(array) for name, array in SCAN.inputs().items() if array is not None}
    return lambda **given: directional_selective_scan(**given, **SCAN.order).square().sum(), tensors


def _conv() -> tuple[Callable[..., Tensor], dict[str, Tensor]]:
    tensors = {name: to_torch(array) for name, array in CONV.inputs().items() if array is not None}
    return lambda **given: causal_conv1d(**given, **CONV.order).square().sum(), tensors


def _mamba() -> tuple[Callable[..., Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "u": (2, 4, 6),
        "delta": (2, 4, 6),
        "A": (4, 3),
        "B": (2, 2, 3, 6),
        "C": (2, 2, 3, 6),
        "D": (4,),
    }
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    tensors["A"] = -tensors["A"].abs()
    return lambda **given: selective_scan(**given, delta_softplus=True).square().sum(), tensors


OPERATORS = {"scan": _scan, "conv": _conv, "mamba": _mamba}
operators = pytest.mark.parametrize("operator", OPERATORS)


def _gradients(call: Callable[..., Tensor], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """By plain autograd."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
    grads = torch.autograd.grad(call(**leaves), list(leaves.values()))
    return dict(zip(leaves, grads, strict=True))


@operators
def test_grad_is_that_of_autograd(operator: str) -> None:
    call, tensors = OPERATORS[operator]()
    got = torch.func.grad(lambda given: call(**given))(tensors)
    for name, want in _gradients(call, tensors).items():
        assert torch.equal(got[name], want), name


@operators
def test_vjp_and_jacrev(operator: str) -> None:
    call, tensors = OPERATORS[operator]()
    want = _gradients(call, tensors)
    value, pull, *_ = torch.func.vjp(lambda given: call(**given), tensors)
    assert torch.equal(value, call(**tensors))
    got = torch.func.jacrev(lambda given: call(**given))(tensors)
    for name, grad in pull(torch.tensor(1.0))[0].items():
        assert torch.equal(grad, want[name])
        torch.testing.assert_close(got[name], want[name])


@operators
def test_vmap_is_one_after_the_other(operator: str) -> None:
    call, tensors = OPERATORS[operator]()
    first = next(iter(tensors))
    several = torch.stack([tensors[first] * factor for factor in (1.0, 0.5, -2.0)], dim=1)

    def alone(value: Tensor) -> Tensor:
        return call(**{**tensors, first: value})

    want = torch.stack([alone(value) for value in several.unbind(1)])
    assert torch.equal(torch.func.vmap(alone, in_dims=1)(several), want)
    grads = torch.func.vmap(torch.func.grad(alone), in_dims=1)(several)  # as for gradients per sample
    for grad, value in zip(grads, several.unbind(1), strict=True):
        assert torch.equal(grad, torch.func.grad(alone)(value))


@operators
@pytest.mark.parametrize("transform", ["jvp", "jacfwd", "hessian", "dual"])
def test_forward_mode_says_that_it_is_not_there(operator: str, transform: str) -> None:
    """PyTorch would go on without the tangents: a wrong answer."""
    call, tensors = OPERATORS[operator]()
    first = next(iter(tensors))

    def alone(value: Tensor) -> Tensor:
        return call(**{**tensors, first: value})

    def dual() -> None:
        with forward_ad.dual_level():
            dual_tensor: Tensor = torch.autograd.forward_ad.make_dual(tensors[first], tensors[first])  # type: ignore[no-untyped-call]
            alone(dual_tensor)

    calls: dict[str, Callable[[], Any]] = {
        "jvp": lambda: torch.func.jvp(alone, (tensors[first],), (tensors[first],)),
        "jacfwd": lambda: torch.func.jacfwd(alone)(tensors[first]),
        "hessian": lambda: torch.func.hessian(alone)(tensors[first]),
        "dual": dual,
    }
    with pytest.raises(UsageError, match="no forward-mode derivative"):
        calls[transform]()


@operators
def test_forward_mode_of_something_else_does_not_disturb(operator: str) -> None:
    call, tensors = OPERATORS[operator]()
    with forward_ad.dual_level():
        assert torch.equal(call(**tensors), call(**tensors))
    tangent = torch.func.jvp(lambda x: x * call(**tensors), (torch.tensor(2.0),), (torch.tensor(1.0),))[1]
    assert torch.equal(tangent, call(**tensors))


@operators
def test_a_gradient_of_a_gradient_says_that_it_is_not_there(operator: str) -> None:
    call, tensors = OPERATORS[operator]()
    first = next(iter(tensors))

    def grad(value: Tensor) -> Tensor:
        first_derivative: Tensor = torch.func.grad(lambda inner: call(**{**tensors, first: inner}))(value)
        return first_derivative.sum()

    with pytest.raises(UsageError, match="no second derivative"):
        torch.func.grad(grad)(tensors[first])


@pytest.mark.parametrize("size", ["B", "D", "L", "N"])
@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize("complex_a", [False, True])
def test_mamba_sizes_of_zero(complex_a: bool, dependent: bool, size: str) -> None:
    """Nothing gives nothing in mamba-ssm's forms, or the operator says what it has no room for."""
    sizes = {"B": 2, "D": 4, "L": 6, "N": 3, size: 0}
    b, d, length, n = sizes.values()
    kind = torch.complex64 if complex_a else torch.float32
    matrix = torch.zeros(d, n, dtype=kind)
    if dependent:
        matrix = torch.zeros(b, n, 2 * length if complex_a else length)
    arguments: dict[str, Any] = {"u": torch.zeros(b, d, length), "delta": torch.zeros(b, d, length),
                 "A": torch.zeros(d, n, dtype=kind), "B": matrix, "C": matrix}  # fmt: skip
    if dependent and not complex_a and size in "DN":
        with pytest.raises(ValueError, match=r"expected .*, got 0"):
            selective_scan(**arguments)
        return
    out, state = selective_scan(**arguments, return_last_state=True)
    assert out.shape == (b, d, length)
    assert state.shape == (b, d, n)
    assert state.dtype == kind
