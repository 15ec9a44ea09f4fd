"""`patch_mamba`: published entry points compute by our operators, wherever bound, and are put back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import published_models
import pytest
import torch
from published_models import Weights, plain_scan
from torch import Tensor
from torch.nn import functional

from vmexport.errors import UsageError
from vmexport.foreign import patch_mamba
from vmexport.foreign.entry_points import find_entry_points

pytestmark = pytest.mark.usefixtures("seeded")

published: Any = published_models
"""Untyped, as published models are."""

CHANNELS, STATES, LENGTH = 6, 4, 9


def assert_same(found: Any, expected: Any, rtol: float = 2e-5, atol: float = 2e-6) -> None:
    """Equal up to the order of float32 sums."""
    torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)


def operands(groups: int = 0, gate: bool = True) -> dict[str, Tensor]:
    """Arguments of a scan in mamba-ssm's layout."""
    draw = torch.Generator().manual_seed(1)
    shape = (2, groups, STATES, LENGTH) if groups else (2, STATES, LENGTH)
    found = {
        "u": torch.randn(2, CHANNELS, LENGTH, generator=draw),
        "delta": torch.randn(2, CHANNELS, LENGTH, generator=draw),
        "A": -torch.rand(CHANNELS, STATES, generator=draw),
        "B": torch.randn(*shape, generator=draw),
        "C": torch.randn(*shape, generator=draw),
        "D": torch.randn(CHANNELS, generator=draw),
        "delta_bias": torch.randn(CHANNELS, generator=draw),
    }
    return {**found, "z": torch.randn(2, CHANNELS, LENGTH, generator=draw)} if gate else found


def xz() -> Tensor:
    """Input of a fused block."""
    return torch.randn(2, 2 * CHANNELS, LENGTH, generator=torch.Generator().manual_seed(2))


Call = Callable[[dict[str, Tensor]], Any]
WITH_GATE: dict[str, Call] = {
    "a wrapper": lambda o: published.selective_scan_fn(**o, delta_softplus=True),
    "apply bound before": lambda o: published.bound_early(
        o["u"], o["delta"], o["A"], o["B"], o["C"], o["D"], o["z"], o["delta_bias"], True
    ),
    "a class made in a function": lambda o: published.built(
        o["u"], o["delta"], o["A"], o["B"], o["C"], o["D"], o["z"], o["delta_bias"], True, False, 2, 1
    ),
    "transformers": lambda o: published.mamba_selective_scan(
        o["u"], o["delta"], o["A"], o["B"], o["C"], D=o["D"], z=o["z"], delta_bias=o["delta_bias"],
        delta_softplus=True, use_mambapy=True,
    ),
}  # fmt: skip
WITHOUT_GATE: dict[str, Call] = {
    "VMamba, nrows": lambda o: published.SelectiveScanOflex.apply(
        o["u"], o["delta"], o["A"], o["B"], o["C"], o["D"], o["delta_bias"], True, 1, 1, True
    ),
    "VMamba, backend": lambda o: published.SelectiveScanCuda.apply(
        o["u"], o["delta"], o["A"], o["B"], o["C"], o["D"], o["delta_bias"], True, True, "oflex"
    ),
    "VMamba in PyTorch": lambda o: published.selective_scan_torch(
        o["u"], o["delta"], o["A"], o["B"], o["C"], o["D"], o["delta_bias"], True, True, "torch"
    ),
}


@pytest.mark.parametrize("name", [*WITH_GATE, *WITHOUT_GATE])
@pytest.mark.parametrize("groups", [0, 2])
def test_a_scan_is_the_definition(name: str, groups: int) -> None:
    values = operands(groups, gate=name in WITH_GATE)
    with patch_mamba():
        found = {**WITH_GATE, **WITHOUT_GATE}[name](values)
    assert_same(found, plain_scan(**values, delta_softplus=True))


@pytest.mark.parametrize("name", ["a wrapper", "apply bound before", "VMamba, nrows"])
def test_gradients_are_those_of_the_definition(name: str) -> None:
    calls = {**WITH_GATE, **WITHOUT_GATE}

    def gradients(call: Call) -> list[Tensor]:
        values = {key: value.requires_grad_() for key, value in operands(gate=name in WITH_GATE).items()}
        call(values).square().sum().backward()
        return [value.grad for value in values.values() if value.grad is not None]

    with patch_mamba():
        found = gradients(calls[name])
    expected = gradients(lambda o: plain_scan(**o, delta_softplus=True))
    assert len(found) == len(expected) == 7 + (name in WITH_GATE)
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs, rtol=2e-4, atol=2e-5)


def test_only_what_needs_a_gradient_gets_one() -> None:
    values = operands()
    values["u"].requires_grad_()
    with patch_mamba():
        out = published.bound_early(*(values[name] for name in ("u", "delta", "A", "B", "C", "D", "z")))
        out.sum().backward()
    assert values["u"].grad is not None
    assert values["delta"].grad is None


def test_the_last_state_comes_along() -> None:
    with patch_mamba():
        out, state = published.selective_scan_fn(**operands(), return_last_state=True)
    assert out.shape == (2, CHANNELS, LENGTH)
    assert state.shape == (2, CHANNELS, STATES)


def test_half_precision_of_vmamba_comes_out_as_float32() -> None:
    half = {name: value.half() for name, value in operands(gate=False).items()}
    for name in ("A", "D", "delta_bias"):
        half[name] = half[name].float()
    with patch_mamba():
        assert WITHOUT_GATE["VMamba, nrows"](half).dtype == torch.float32


@pytest.mark.parametrize("activation", ["silu", "swish", None])
def test_convolutions(activation: str | None) -> None:
    x, weight = torch.randn(2, CHANNELS, LENGTH), torch.randn(CHANNELS, 4)
    bias = torch.randn(CHANNELS)
    expected = functional.conv1d(functional.pad(x, (3, 0)), weight[:, None], bias, groups=CHANNELS)
    expected = functional.silu(expected) if activation else expected
    with patch_mamba():
        now = published.CausalConv1dFn.apply(x, weight, bias, None, None, False, None, activation)
        first = published.causal_conv1d_fn(x, weight, bias, activation)
    assert_same(now, expected)
    assert_same(first, expected)


def test_more_taps_than_the_operator_has() -> None:
    x, weight = torch.randn(1, 3, LENGTH), torch.randn(3, 11)
    expected = functional.silu(functional.conv1d(functional.pad(x, (10, 0)), weight[:, None], groups=3))
    with patch_mamba():
        found = published.causal_conv1d_fn(x, weight, None, "silu")
    assert_same(found, expected)


def test_a_convolution_with_states_is_refused() -> None:
    x, weight = torch.randn(1, 3, LENGTH), torch.randn(3, 4)
    with patch_mamba(), pytest.raises(UsageError, match="initial_states"):
        published.CausalConv1dFn.apply(x, weight, None, None, torch.zeros(1, 3, 3), False, None, "silu")


def test_fused_blocks_are_the_definition() -> None:
    w, x = Weights(CHANNELS, STATES), xz()
    first = (x, w.conv, w.conv_bias, w.x_proj, w.dt_proj)
    with patch_mamba():
        whole = published.MambaInnerFn.apply(
            *first, w.out_proj, None, w.A, None, None, w.D, w.dt_bias, None, None, True
        )
        inner = published.MambaInnerFnNoOutProj.apply(*first, w.A, None, None, w.D, w.dt_bias)
        both = published.bimamba_inner_fn(*first, w.out_proj, None, w.A, w.A_b, D=w.D, delta_bias=w.dt_bias)
    assert_same(whole, functional.linear(w.plain(x), w.out_proj))
    assert_same(inner, w.plain(x).transpose(1, 2))
    assert_same(both, functional.linear(w.plain(x, both=True), w.out_proj))


def test_a_fused_block_is_differentiated() -> None:
    w, x = Weights(CHANNELS, STATES), xz()
    with patch_mamba():
        out = published.MambaInnerFn.apply(
            x, w.conv, w.conv_bias, w.x_proj, w.dt_proj, w.out_proj, None, w.A, None, None, w.D, w.dt_bias
        )
        out.square().sum().backward()
    found = {name: parameter.grad for name, parameter in w.named_parameters() if parameter.grad is not None}
    w.zero_grad()
    torch.autograd.backward(functional.linear(w.plain(x), w.out_proj).square().sum())
    assert found.keys() == {name for name, _ in w.named_parameters()} - {"A_b"}
    for name, parameter in w.named_parameters():
        if name in found:
            assert_same(found[name], parameter.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rms", [False, True])
@pytest.mark.parametrize("prenorm", [False, True])
def test_norms_add_the_residual(rms: bool, prenorm: bool) -> None:
    x, residual = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    weight, bias = torch.randn(8), torch.randn(8)
    total = x + residual
    expected = functional.rms_norm(total, (8,), weight, 1e-5) + bias
    if not rms:
        expected = functional.layer_norm(total, (8,), weight, bias, 1e-5)
    with patch_mamba():
        found = published.LayerNormFn.apply(x, weight, bias, residual, 1e-5, prenorm, True, rms)
        if rms:
            later = published.rms_norm_fn(x, weight, bias, residual, eps=1e-5, prenorm=prenorm)
            assert_same(later, found)
    normed = found[0] if prenorm else found
    assert_same(normed, expected, rtol=1e-5, atol=1e-5)
    if prenorm:
        assert_same(found[1], total)


def test_dropout_within_a_norm_is_refused() -> None:
    x = torch.randn(1, 8)
    with patch_mamba(), pytest.raises(UsageError, match="dropout_p"):
        published.rms_norm_fn(x, torch.ones(8), None, dropout_p=0.5)


def state_of(target: Any) -> Any:
    """All of an entry point that a patch exchanges."""
    if isinstance(target, type):
        return {name: value for name, value in vars(target).items() if not name.startswith("__")}
    return target.__code__, target.__defaults__, target.__kwdefaults__, dict(vars(target))


def test_everything_is_as_before_afterwards() -> None:
    entries = [entry for entry in find_entry_points() if entry.target.__module__ == published.__name__]
    before = {entry.place: state_of(entry.target) for entry in entries}
    signature = inspect.signature(published.selective_scan_fn)

    def use() -> None:
        with patch_mamba() as patch:
            assert before.keys() <= {*patch.entry_points, *patch.left_alone}
            with patch_mamba():  # within another one
                published.selective_scan_fn(**operands())
            published.selective_scan_fn(**operands())
            assert inspect.signature(published.selective_scan_fn) == signature
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert {entry.place: state_of(entry.target) for entry in entries} == before
    assert inspect.signature(published.selective_scan_fn) == signature
    with pytest.raises(RuntimeError, match="custom kernel"):
        published.selective_scan_fn(**operands())


def test_a_patch_that_is_undone_by_hand() -> None:
    patch = patch_mamba()
    published.selective_scan_fn(**operands())
    patch.undo()
    patch.undo()
    with pytest.raises(RuntimeError, match="custom kernel"):
        published.selective_scan_fn(**operands())


def test_another_function_of_that_name_is_left_alone() -> None:
    with patch_mamba() as patch:
        assert "no argument" in patch.left_alone["published_models.selective_scan_ref"]
        assert published.selective_scan_ref(torch.ones(1), 2).item() == 2


def test_a_guard_for_cuda_lets_a_cpu_pass_only_then() -> None:
    with patch_mamba(), torch.cuda.device(torch.device("cpu")):
        pass
    with pytest.raises(ValueError, match="cuda"):
        torch.cuda.device(torch.device("cpu"))


def test_wrong_arguments_are_the_functions_own_error() -> None:
    with patch_mamba(), pytest.raises(TypeError, match="missing"):
        published.selective_scan_fn(torch.ones(1))
