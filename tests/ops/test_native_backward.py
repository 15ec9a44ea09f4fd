"""The native backward passes: every case, dtype and tier against the written-out gradients in float64."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from backends import TIERS, native_library
from cases import (
    CONV_CASES,
    NUMPY_TYPES,
    SCAN_CASES,
    WILD_CONV,
    WILD_SCAN,
    Array,
    Arrays,
    ConvCase,
    ScanCase,
    to_numpy,
    to_torch,
)
from small import noise, small_architecture, small_model
from tolerances import MODEL_GRADIENT, NATIVE_GRADIENT, NATIVE_GRADIENT_OF_A, OPERATOR, assert_close

from vmexport.errors import ShapeError
from vmexport.ops import causal_conv1d, torch_native
from vmexport.ops.buffer import Buffer
from vmexport.ops.native import load_native
from vmexport.ops.reference_backward import (
    causal_conv1d_backward_reference,
    selective_scan_backward_reference,
)
from vmexport.ops.schema import CONV_INPUTS, GRADIENT, SCAN_INPUTS, TokenOrder

pytestmark = pytest.mark.skipif(native_library() is None, reason="the native kernels are not built")

Case = ScanCase | ConvCase
ACTIVATIONS = ("u", "delta", "BC", "z", "x")
LONG = ScanCase(
    "model", L=1569, D=768, N=16, decay=16.0, delta_size=0.5, directions=(0,), dtypes=("float32",)
)


LONGER_TILES = ScanCase("longer_tiles", L=2100, D=3, N=5, class_token=1, dtypes=("float32",))
CASES: tuple[Case, ...] = (*SCAN_CASES, LONG, LONGER_TILES, *CONV_CASES)


def given(case: Case, dtype: str) -> Arrays:
    """Gradients of the results, in the dtypes of the results."""
    random = np.random.default_rng(5)
    if isinstance(case, ConvCase):
        shape = (len(case.directions), case.B, case.L, case.D)
        return {"grad_u": random.standard_normal(shape).astype(NUMPY_TYPES[dtype])}
    state = random.standard_normal((case.S, case.B, case.D, case.N)).astype(np.float32)
    grad_y = random.standard_normal((case.B, case.L, case.D)).astype(NUMPY_TYPES[dtype])
    return {"grad_y": grad_y, "grad_last_state": state}


def by_definition(case: Case, tensors: Arrays, grads: Arrays, dtype: torch.dtype) -> Arrays:
    """The written-out gradients, by tensor name."""
    values: list[Any] = [to_torch(array, dtype) for array in tensors.values()]
    above: list[Any] = [to_torch(array, dtype) for array in grads.values()]
    if isinstance(case, ConvCase):
        found = causal_conv1d_backward_reference(*above, *values, **case.order)
    else:
        how: dict[str, Any] = {"scale": case.scale, "delta_softplus": case.delta_softplus}
        inputs: Any = tuple(values)
        found = selective_scan_backward_reference(above[0], above[1], inputs, **case.order, **how)
    there = (name for name, array in tensors.items() if array is not None)
    return {name: to_numpy(gradient) for name, gradient in zip(there, found, strict=True)}


@functools.cache
def answer(case: Case, dtype: str) -> Arrays:
    """The same in float64, from inputs as rounded to `dtype`."""
    return by_definition(case, case.inputs(dtype), given(case, dtype), torch.float64)


def run(
    case: Case, dtype: str, tensors: Arrays | None = None, *, wanted: tuple[str, ...] = (), threads: int = 2
) -> dict[str, Array]:
    """Gradients by the kernels over the C ABI; without `wanted` all that there are."""
    tensors = case.inputs(dtype) if tensors is None else tensors
    outputs = {
        GRADIENT + name: np.full(array.shape, np.nan, array.dtype)
        for name, array in tensors.items()
        if array is not None and (not wanted or name in wanted)
    }
    arrays = {**tensors, **given(case, dtype), **outputs}
    named = {name: None if array is None else Buffer.of_numpy(array) for name, array in arrays.items()}
    order = TokenOrder(**case.order)
    if isinstance(case, ConvCase):
        load_native().conv_backward(named, order=order, threads=threads)
    else:
        how: dict[str, Any] = {"scale": case.scale, "delta_softplus": case.delta_softplus}
        load_native().scan_backward(named, order=order, threads=threads, **how)
    return {name.removeprefix(GRADIENT): array for name, array in outputs.items()}


def check(case: Case, dtype: str, got: dict[str, Array]) -> None:
    """Dtypes of the tensors, values of the definition."""
    want = answer(case, dtype)
    assert got.keys() == want.keys()
    for name, gradient in got.items():
        rounded = name in ACTIVATIONS and dtype != "float32"
        tolerance = OPERATOR[dtype] if rounded else NATIVE_GRADIENT_OF_A if name == "A" else NATIVE_GRADIENT
        expected = want[name]
        assert expected is not None
        assert_close(gradient, expected, tolerance)


def table() -> list[Any]:
    """All combinations, each named after its parts."""
    return [
        pytest.param(tier, case, dtype, id=f"{type(case).__name__[:4]}-{tier}-{case.name}-{dtype}")
        for case in CASES
        for dtype in case.dtypes
        for tier in TIERS
    ]


@pytest.mark.parametrize(("tier", "case", "dtype"), table())
def test_gradients_are_those_of_the_definition(tier: str, case: Case, dtype: str) -> None:
    library = load_native()
    if not library.set_tier(tier):
        pytest.skip(f"this machine has no {tier}")
    try:
        check(case, dtype, run(case, dtype))
    finally:
        library.set_tier(None)


DETERMINISTIC = (*SCAN_CASES[5:10], SCAN_CASES[12], *CONV_CASES[10:13])


@pytest.mark.parametrize("case", DETERMINISTIC, ids=lambda case: case.name)
def test_bits_depend_neither_on_threads_nor_on_what_else_is_wanted(case: Case) -> None:
    want = run(case, "float32", threads=1)
    for threads in (2, 5):
        for name, gradient in run(case, "float32", threads=threads).items():
            np.testing.assert_array_equal(gradient, want[name])
    for name in want:
        (alone,) = run(case, "float32", wanted=(name,)).values()
        np.testing.assert_array_equal(alone, want[name])


def wild_table() -> list[Any]:
    """Each input in turn holds one value that is no number."""
    return [
        pytest.param(case, name, value, id=f"{type(case).__name__[:4]}-{name}-{value}")
        for case in (WILD_SCAN, WILD_CONV)
        for name in case.inputs()
        for value in (np.nan, np.inf, -np.inf)
    ]


@pytest.mark.parametrize(("case", "name", "value"), wild_table())
def test_what_is_no_number_comes_out_where_it_does_in_the_reference(
    case: Case, name: str, value: float
) -> None:
    tensors = case.inputs()
    array = tensors[name]
    assert array is not None
    array[tuple(size // 2 for size in array.shape)] = value
    want = by_definition(case, tensors, given(case, "float32"), torch.float32)
    for tensor, gradient in run(case, "float32", tensors).items():
        expected = want[tensor]
        assert expected is not None
        np.testing.assert_array_equal(np.isfinite(gradient), np.isfinite(expected), err_msg=tensor)
        np.testing.assert_array_equal(np.isnan(gradient), np.isnan(expected), err_msg=tensor)
        finite = np.isfinite(expected)
        assert_close(gradient[finite], expected[finite], NATIVE_GRADIENT_OF_A)


@pytest.mark.parametrize("needed", [("u",), ("BC", "z"), ("A", "D", "delta_bias"), SCAN_INPUTS])
def test_autograd_asks_for_what_is_needed_only(
    monkeypatch: pytest.MonkeyPatch, needed: tuple[str, ...]
) -> None:
    case = SCAN_CASES[7]
    asked: list[set[str]] = []
    library = load_native()
    backward = library.scan_backward

    def listen(named: Any, **how: Any) -> None:
        asked.append(
            {name for name, buffer in named.items() if name[5:] in SCAN_INPUTS and buffer is not None}
        )
        backward(named, **how)

    monkeypatch.setattr(library, "scan_backward", listen)
    arrays = case.inputs()
    tensors = {name: to_torch(array).requires_grad_(name in needed) for name, array in arrays.items()}
    order = (list(case.directions), case.tokens_per_frame, case.class_token, case.scale, True)
    y, state = torch.ops.vmexport.selective_scan(*tensors.values(), *order)
    grads = given(case, "float32")
    outputs = ((y, to_torch(grads["grad_y"])), (state, to_torch(grads["grad_last_state"])))
    found = torch.autograd.grad(
        [output for output, _ in outputs], [tensors[name] for name in needed], [grad for _, grad in outputs]
    )
    assert asked == [{GRADIENT + name for name in needed}]
    want = run(case, "float32", wanted=needed)
    for name, gradient in zip(needed, found, strict=True):
        np.testing.assert_array_equal(gradient.numpy(), want[name])


def test_a_gradient_may_have_any_strides() -> None:
    """As `y.sum()` and `y.transpose()` make them."""
    case = replace(SCAN_CASES[7], D=16)
    tensors = [to_torch(array).requires_grad_() for array in case.inputs().values()]
    order = (list(case.directions), case.tokens_per_frame, case.class_token, case.scale, True)

    def gradients(grad_y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, _ = torch.ops.vmexport.selective_scan(*tensors, *order)
        return torch.autograd.grad(y, tensors, grad_y)

    shape = (case.B, case.L, case.D)
    wide = torch.randn(case.B, case.D, case.L).transpose(1, 2)
    for grad_y in (torch.ones(()).expand(shape), wide):
        for one, other in zip(gradients(grad_y), gradients(grad_y.contiguous()), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"grad_u": np.zeros((2, 1, 9, 4), np.float32)}, r"grad_u: expected shape \(2, 1, 9, 5\)"),
        ({"grad_y": np.zeros((1, 9, 5), np.float16)}, "grad_y: expected dtype float32"),
        ({"grad_A": np.zeros((2, 5, 8), np.float32)[..., ::2]}, "grad_A: expected a contiguous tensor"),
        ({"D": None}, "grad_D: expected a null pointer"),
        ({"grad_y": None}, "grad_y: expected data"),
    ],
)
def test_a_bad_argument_is_named(change: Arrays, words: str) -> None:
    case = ScanCase("bad", L=9, D=5, N=4)
    tensors = case.inputs()
    outputs = {GRADIENT + name: np.zeros_like(array) for name, array in tensors.items() if array is not None}
    arrays = {**tensors, **given(case, "float32"), **outputs, **change}
    named = {name: None if array is None else Buffer.of_numpy(array) for name, array in arrays.items()}
    with pytest.raises(ShapeError, match=words):
        load_native().scan_backward(named, order=TokenOrder(**case.order))


@pytest.mark.parametrize("wanted", [[True] * 7, [False, True, False, True, False, False, True]])
def test_torch_accepts_the_backward_pass_of_the_scan(wanted: list[bool]) -> None:
    case = ScanCase("check", L=9, D=5, N=4, class_token=1, tokens_per_frame=4, directions=(0, 2))
    tensors = [to_torch(array) for array in case.inputs().values()]
    arguments = (torch.randn(1, 9, 5), None, *tensors, list(case.directions), 4, 1, 0.5, True, wanted)
    torch.library.opcheck(torch.ops.vmexport.selective_scan_backward, arguments)


def test_torch_accepts_the_backward_pass_of_the_convolution() -> None:
    case = ConvCase("check", L=9, D=5, K=4, class_token=1, tokens_per_frame=4, directions=(0, 3))
    tensors = [to_torch(array) for array in case.inputs().values()]
    arguments = (torch.randn(2, 1, 9, 5), *tensors, list(case.directions), 4, 1, [True, False, True])
    torch.library.opcheck(torch.ops.vmexport.causal_conv1d_backward, arguments)


def test_convolutions_gradients_reach_autograd() -> None:
    case = CONV_CASES[3]
    tensors = [to_torch(array).requires_grad_() for array in case.inputs().values()]
    grad_u = to_torch(given(case, "float32")["grad_u"])
    found = torch.autograd.grad(causal_conv1d(*tensors, **case.order), tensors, grad_u)
    for name, gradient, want in zip(CONV_INPUTS, found, run(case, "float32").values(), strict=True):
        np.testing.assert_array_equal(gradient.numpy(), want, err_msg=name)


def test_a_models_gradients_are_those_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole network, with the native kernels and without."""
    clips = torch.from_numpy(noise(small_architecture(), batch=2))

    def gradients() -> dict[str, torch.Tensor]:
        model = small_model()
        loss = torch.nn.functional.cross_entropy(model(clips), torch.tensor([0, 1]))
        named = dict(model.named_parameters())
        return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))

    native = gradients()
    monkeypatch.setattr(torch_native, "cpu_library", lambda: None)
    plain = gradients()
    assert native.keys() == plain.keys()
    for name, gradient in native.items():
        assert_close(to_numpy(gradient), to_numpy(plain[name]), MODEL_GRADIENT)


MEMORY_SCRIPT = """
import resource, torch
from vmexport.ops import torch_ops
length, channels, states = 16384, 128, 128
random = lambda *shape: torch.randn(*shape) * 0.1
u, delta, z = (random(1, 1, length, channels) for _ in range(3))
A, BC = -torch.rand(1, channels, states), random(1, 1, length, 2 * states)
tensors = [u, delta, A, BC, random(1, channels), random(1, channels), z[0]]
grad_y = random(1, length, channels)
backward = torch.ops.vmexport.selective_scan_backward
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
backward(grad_y, None, *tensors, [0], 1, 0, 1.0, True, [True] * 7)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_memory_does_not_grow_with_all_states() -> None:
    """All states of this call are 1 GiB."""
    result = subprocess.run([sys.executable, "-c", MEMORY_SCRIPT], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 2**30 / 8
