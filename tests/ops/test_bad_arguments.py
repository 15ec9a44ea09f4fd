"""Bad arguments are refused by every front end, in the same words: tensor, expected, got."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from backends import buffers, native_library
from cases import Arrays, ConvCase, ScanCase, to_torch

from vmexport.errors import ExitCode, ShapeError
from vmexport.ops import ScanOrder, causal_conv1d, directional_selective_scan
from vmexport.ops.native import load_native
from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference
from vmexport.ops.schema import TokenOrder

SCAN = ScanCase("bad", L=9, D=5, N=4, directions=(0, 2), class_token=1, tokens_per_frame=4, B=2)
CONV = ConvCase("bad", L=9, D=5, K=4, directions=(0, 3), class_token=1, tokens_per_frame=4, B=2)
Call = Callable[[Arrays, dict[str, Any]], Any]


def _tensors(arrays: Arrays, device: str = "cpu") -> list[Any]:
    return [None if array is None else to_torch(array).to(device) for array in arrays.values()]


def _native_scan(arrays: Arrays, order: dict[str, Any]) -> None:
    y = np.empty((SCAN.B, np.asarray(arrays["u"]).shape[-2], SCAN.D), np.float32)
    tensors = buffers({**arrays, "y": y})
    scale = order.get("scale", 1.0)
    order = {name: value for name, value in order.items() if name != "scale"}
    load_native().scan(*tensors, order=TokenOrder(**order), scale=scale)


def _native_conv(arrays: Arrays, order: dict[str, Any]) -> None:
    u = np.empty((len(CONV.directions), CONV.B, np.asarray(arrays["x"]).shape[-2], CONV.D), np.float32)
    tensors = buffers({**arrays, "u": u})
    load_native().conv(*tensors, order=TokenOrder(**order))


SCAN_CALLS: dict[str, Call] = {
    "native": _native_scan,
    "torch": lambda arrays, order: directional_selective_scan(*_tensors(arrays), **order),
    "traced": lambda arrays, order: directional_selective_scan(*_tensors(arrays, "meta"), **order),
    "reference": lambda arrays, order: selective_scan_reference(*_tensors(arrays), **order),
}
CONV_CALLS: dict[str, Call] = {
    "native": _native_conv,
    "torch": lambda arrays, order: causal_conv1d(*_tensors(arrays), **order),
    "traced": lambda arrays, order: causal_conv1d(*_tensors(arrays, "meta"), **order),
    "reference": lambda arrays, order: causal_conv1d_reference(*_tensors(arrays), **order),
}


def refused(
    calls: dict[str, Call], front_end: str, arrays: Arrays, order: dict[str, Any], words: str
) -> None:
    """The call fails with those words and the exit code of bad input."""
    if front_end == "native" and native_library() is None:
        pytest.skip("the native kernels are not built")
    with pytest.raises(ShapeError, match=words) as caught:
        calls[front_end](arrays, order)
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("front_end", SCAN_CALLS)
@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("u", zeros(2, 9, 5), r"u: expected 4 axes \(S, B, L, D\), got \(2, 9, 5\)"),
        ("u", zeros(3, 2, 9, 5), r"u: expected shape \(2, 2, 9, 5\), got \(3, 2, 9, 5\)"),
        ("delta", zeros(2, 2, 9, 6), r"delta: expected shape \(2, 2, 9, 5\), got \(2, 2, 9, 6\)"),
        ("delta", zeros(2, 9, 2, 5), r"delta: expected shape \(2, 2, 9, 5\), got \(2, 9, 2, 5\)"),
        ("A", zeros(5, 4), r"A: expected 3 axes \(S, D, N\), got \(5, 4\)"),
        ("A", zeros(2, 4, 4), r"A: expected shape \(2, 5, 4\), got \(2, 4, 4\)"),
        ("BC", zeros(2, 2, 9, 4), r"BC: expected shape \(2, 2, 9, 8\), got \(2, 2, 9, 4\)"),
        ("D", zeros(5), r"D: expected shape \(2, 5\), got \(5,\)"),
        ("delta_bias", zeros(2, 1), r"delta_bias: expected shape \(2, 5\), got \(2, 1\)"),
        ("z", zeros(2, 2, 9, 5), r"z: expected shape \(2, 9, 5\), got \(2, 2, 9, 5\)"),
    ],
)
def test_scan_shapes(front_end: str, name: str, array: Any, words: str) -> None:
    refused(SCAN_CALLS, front_end, {**SCAN.inputs(), name: array}, SCAN.order, words)


@pytest.mark.parametrize("front_end", ["native", "torch", "traced"])
@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [
        ("u", "int32", "u: expected dtype .*float32.*, got int32"),
        ("delta", "float16", "delta: expected dtype float32 like the first tensor, got float16"),
        ("BC", "float16", "BC: expected dtype float32 like the first tensor, got float16"),
        ("z", "int8", "z: expected dtype .*float32.*, got int8"),
        ("A", "float16", "A: expected dtype float32, got float16"),
        ("D", "float64", "D: expected dtype float32, got float64"),
        ("delta_bias", "int64", "delta_bias: expected dtype float32, got int64"),
    ],
)
def test_scan_dtypes(front_end: str, name: str, dtype: str, words: str) -> None:
    arrays = SCAN.inputs()
    arrays[name] = np.asarray(arrays[name]).astype(dtype)
    refused(SCAN_CALLS, front_end, arrays, SCAN.order, words)


ORDERS = [
    ({"tokens_per_frame": 3}, "tokens_per_frame: expected a divisor of the 8 patch tokens, got 3"),
    ({"tokens_per_frame": 0}, "tokens_per_frame: expected a divisor of the 8 patch tokens, got 0"),
    ({"tokens_per_frame": -4}, "tokens_per_frame: expected a divisor of the 8 patch tokens, got -4"),
    ({"class_token": 0}, "tokens_per_frame: expected a divisor of the 9 patch tokens, got 4"),
    ({"class_token": 2}, "class_token: expected 0 or 1, got 2"),
    ({"directions": (0, 4)}, r"directions\[1\]: expected 0 \(forward\).*3 \(temporal\), got 4"),
    ({"directions": (-1, 0)}, r"directions\[0\]: expected 0 \(forward\).*3 \(temporal\), got -1"),
    ({"directions": (2**32, 0)}, r"directions\[0\]: expected 0 \(forward\).*, got 4294967296"),
    ({"directions": (2**63, 0)}, r"directions\[0\]: expected 0 \(forward\).*, got 9223372036854775808"),
    ({"directions": (10**5000, 0)}, r"directions\[0\]: .*, got a number of 16610 bits"),
    ({"directions": 3}, r"directions: expected a sequence of scan orders.*, got 3"),
    ({"directions": None}, "directions: expected a sequence of scan orders.*, got None"),
    ({"directions": {0: 1, 1: 0}}, "directions: expected a sequence of scan orders"),
    ({"directions": {0, 1}}, "directions: expected a sequence of scan orders"),
    ({"directions": b"\0\1"}, "directions: expected a sequence of scan orders"),
    ({"directions": "01"}, r"directions\[0\]: expected a whole number"),
    ({"directions": np.array(1)}, "directions: expected a sequence of scan orders"),
    ({"directions": np.zeros((2, 2), int)}, r"directions\[0\]: expected a whole number"),
    ({"class_token": 2**32 + 1}, "class_token: expected .*, got 4294967297"),
    ({"class_token": -(2**63) - 1}, "class_token: expected .*, got -?[0-9]+"),
    ({"class_token": "x"}, "class_token: expected .*, got 'x'"),
    (
        {"tokens_per_frame": 2**63},
        "tokens_per_frame: expected a whole number of 64 bits, got 9223372036854775808",
    ),
    ({"tokens_per_frame": np.uint64(2**63)}, "tokens_per_frame: expected a whole number of 64 bits"),
    ({"tokens_per_frame": None}, "tokens_per_frame: expected a whole number, got None"),
    ({"tokens_per_frame": 4.0}, r"tokens_per_frame: expected a whole number, got 4\.0"),
    ({"directions": (0,)}, "expected shape"),
    ({"directions": (0, 0, 0)}, "expected shape"),
]


@pytest.mark.parametrize("front_end", SCAN_CALLS)
@pytest.mark.parametrize(("change", "words"), ORDERS)
def test_scan_orders(front_end: str, change: dict[str, Any], words: str) -> None:
    refused(SCAN_CALLS, front_end, SCAN.inputs(), {**SCAN.order, **change}, words)


@pytest.mark.parametrize("front_end", CONV_CALLS)
@pytest.mark.parametrize(("change", "words"), ORDERS)
def test_conv_orders(front_end: str, change: dict[str, Any], words: str) -> None:
    refused(CONV_CALLS, front_end, CONV.inputs(), {**CONV.order, **change}, words)


@pytest.mark.parametrize("front_end", ["native", "torch", "traced"])
@pytest.mark.parametrize("direction", ["forward", 1.0, True, None])
def test_directions_are_whole_numbers(front_end: str, direction: Any) -> None:
    for case, calls in ((SCAN, SCAN_CALLS), (CONV, CONV_CALLS)):
        order = {**case.order, "directions": (direction, 0)}
        refused(calls, front_end, case.inputs(), order, r"directions\[0\]: expected a whole number")


def test_numpy_numbers_are_whole_numbers() -> None:
    tensors = _tensors(SCAN.inputs())
    order = {**SCAN.order, "directions": np.array(SCAN.order["directions"]), "class_token": np.int64(1)}
    assert torch.equal(
        directional_selective_scan(*tensors, **order), directional_selective_scan(*tensors, **SCAN.order)
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"u": None}, "u: expected a torch.Tensor, got NoneType"),
        ({"BC": np.zeros(3)}, "BC: expected a torch.Tensor, got ndarray"),
        ({"z": [0.0]}, "z: expected a torch.Tensor, got list"),
        ({"delta": torch.zeros(2, 2, 9, 5).to_sparse()}, "delta: expected a dense tensor, got torch.sparse"),
        ({"class_token": None}, "class_token: expected a whole number, got None"),
        ({"tokens_per_frame": 4.0}, "tokens_per_frame: expected a whole number, got 4.0"),
    ],
)
def test_arguments_of_another_kind(change: dict[str, Any], words: str) -> None:
    arguments = dict(zip(SCAN.inputs(), _tensors(SCAN.inputs()), strict=True))
    with pytest.raises(ShapeError, match=words):
        directional_selective_scan(**{**arguments, **SCAN.order, **change})


@pytest.mark.parametrize("front_end", SCAN_CALLS)
@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"N": 257}, r"states \(N\): expected 1 to 256, got 257"),
        ({"N": 0}, r"states \(N\): expected 1 to 256, got 0"),
        ({"D": 0}, r"channels \(D\): expected .*1.*, got 0"),
        ({"directions": (0,) * 9}, "directions: expected 1 to 8, got 9"),
        ({"directions": ()}, "directions: expected 1 to 8, got 0"),
    ],
)
def test_scan_limits(front_end: str, sizes: dict[str, Any], words: str) -> None:
    case = ScanCase("limits", **{"L": SCAN.L, "D": SCAN.D, "N": 4, "B": SCAN.B, **sizes})
    if front_end == "native" and case.D != SCAN.D:
        words = "y: expected shape"  # y has its own shape here
    refused(SCAN_CALLS, front_end, case.inputs(), case.order, words)


@pytest.mark.parametrize("front_end", CONV_CALLS)
@pytest.mark.parametrize("taps", [0, 9])
def test_conv_limits(front_end: str, taps: int) -> None:
    arrays = {**CONV.inputs(), "weight": zeros(2, 5, taps)}
    refused(CONV_CALLS, front_end, arrays, CONV.order, rf"taps \(K\): expected 1 to 8, got {taps}")


@pytest.mark.parametrize("front_end", CONV_CALLS)
@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("x", zeros(2, 2, 9, 5), r"x: expected 3 axes \(B, L, D\), got \(2, 2, 9, 5\)"),
        ("weight", zeros(5, 4), r"weight: expected 3 axes \(S, D, K\), got \(5, 4\)"),
        ("weight", zeros(2, 6, 4), r"weight: expected shape \(2, 5, 4\), got \(2, 6, 4\)"),
        ("bias", zeros(5), r"bias: expected shape \(2, 5\), got \(5,\)"),
    ],
)
def test_conv_shapes(front_end: str, name: str, array: Any, words: str) -> None:
    refused(CONV_CALLS, front_end, {**CONV.inputs(), name: array}, CONV.order, words)


@pytest.mark.parametrize("front_end", ["native", "torch", "traced"])
@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [
        ("x", "int32", "x: expected dtype .*float32.*, got int32"),
        ("weight", "float16", "weight: expected dtype float32, got float16"),
        ("bias", "float64", "bias: expected dtype float32, got float64"),
    ],
)
def test_conv_dtypes(front_end: str, name: str, dtype: str, words: str) -> None:
    arrays = CONV.inputs()
    arrays[name] = np.asarray(arrays[name]).astype(dtype)
    refused(CONV_CALLS, front_end, arrays, CONV.order, words)


def test_strides_that_the_kernels_cannot_walk_are_refused() -> None:
    """Only of the C ABI: torch tensors are copied where they must be."""
    arrays = SCAN.inputs()
    apart = zeros(2, 2, 9, 10)[..., ::2]
    refused(
        SCAN_CALLS,
        "native",
        {**arrays, "u": apart},
        SCAN.order,
        "u: expected a channel stride of 1 element, got 2",
    )
    overlapping = np.lib.stride_tricks.as_strided(zeros(64), (2, 2, 9, 5), (0, 0, 8, 4))
    refused(SCAN_CALLS, "native", {**arrays, "delta": overlapping}, SCAN.order,
            "delta: expected a token stride of at least 5 elements .*, got 2")  # fmt: skip
    refused(SCAN_CALLS, "native", {**arrays, "A": zeros(2, 4, 5).swapaxes(1, 2)}, SCAN.order,
            "A: expected a contiguous tensor, got strides")  # fmt: skip


def test_torch_takes_any_strides() -> None:
    arrays = SCAN.inputs()
    tensors = dict(zip(arrays, _tensors(arrays), strict=True))
    want = directional_selective_scan(*tensors.values(), **SCAN.order)
    for name in ("u", "delta", "BC", "z", "A"):
        turned = tensors[name].transpose(-1, -2).contiguous().transpose(-1, -2)
        got = directional_selective_scan(*{**tensors, name: turned}.values(), **SCAN.order)
        assert torch.equal(got, want)
    shared = tensors["z"][:, :1].expand(-1, SCAN.L, -1)
    got = directional_selective_scan(*{**tensors, "z": shared}.values(), **SCAN.order)
    assert torch.equal(
        got, directional_selective_scan(*{**tensors, "z": shared.clone()}.values(), **SCAN.order)
    )


def test_directions_may_be_names_of_the_enumeration() -> None:
    tensors = _tensors(SCAN.inputs())
    named = {**SCAN.order, "directions": (ScanOrder.FORWARD, ScanOrder.SPATIAL)}
    want = directional_selective_scan(*tensors, **SCAN.order)
    assert torch.equal(directional_selective_scan(*tensors, **named), want)


NO_SCALES = ["x", None, True, [1.0], 1j, np.nan, -np.inf, 1e39, 10**400, b"1", np.array([1.0])]


@pytest.mark.parametrize("front_end", SCAN_CALLS)
@pytest.mark.parametrize("scale", NO_SCALES)
def test_scales_that_are_no_finite_number(front_end: str, scale: Any) -> None:
    refused(
        SCAN_CALLS, front_end, SCAN.inputs(), {**SCAN.order, "scale": scale}, "scale: expected a .*number"
    )


@pytest.mark.parametrize("scale", [2, np.float32(2), np.float64(2), np.int8(2), np.float16(2)])
def test_any_number_is_a_scale(scale: Any) -> None:
    tensors = _tensors(SCAN.inputs())
    want = directional_selective_scan(*tensors, **SCAN.order, scale=2.0)
    assert torch.equal(directional_selective_scan(*tensors, **SCAN.order, scale=scale), want)


@pytest.mark.parametrize("front_end", SCAN_CALLS)
@pytest.mark.parametrize("directions", [(0, 1), (2, 3)])
def test_a_class_token_needs_a_token(front_end: str, directions: tuple[int, int]) -> None:
    order = {"directions": directions, "tokens_per_frame": 1, "class_token": 1}
    words = "length.*: expected at least 1, the class token, got 0"
    refused(SCAN_CALLS, front_end, _of_length_0(SCAN), order, words)
    refused(CONV_CALLS, front_end, _of_length_0(CONV), order, words)


def _of_length_0(case: ScanCase | ConvCase) -> Arrays:
    """A case's arrays with no tokens: the axis before the last of every activation."""
    activations = ("u", "delta", "BC", "z", "x")
    return {
        name: np.asarray(array)[..., :0, :] if name in activations else array
        for name, array in case.inputs().items()
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("empty", ["B", "L"])
def test_nothing_gives_nothing(empty: str, gradients: bool, dtype: torch.dtype) -> None:
    sizes = {"B": 2, "L": 6, empty: 0}
    shapes: dict[str, tuple[int | str, ...]] = {
        "u": (2, "B", "L", 5),
        "delta": (2, "B", "L", 5),
        "A": (2, 5, 4),
        "BC": (2, "B", "L", 8),
        "D": (2, 5),
        "delta_bias": (2, 5),
        "z": ("B", "L", 5),
        "x": ("B", "L", 5),
        "weight": (2, 5, 4),
        "bias": (2, 5),
    }
    tensors = {
        name: torch.zeros(
            [axis if isinstance(axis, int) else sizes[axis] for axis in shape], dtype=dtype
        ).requires_grad_(gradients)
        for name, shape in shapes.items()
    }
    order: dict[str, Any] = {"directions": (0, 2), "tokens_per_frame": 3, "class_token": 0}
    scanned = directional_selective_scan(*list(tensors.values())[:7], **order)
    mixed = causal_conv1d(*list(tensors.values())[7:], **order)
    assert scanned.shape == (sizes["B"], sizes["L"], 5)
    assert mixed.shape == (2, sizes["B"], sizes["L"], 5)
    if gradients:
        for grad in torch.autograd.grad(scanned.sum() + mixed.sum(), list(tensors.values())):
            assert not grad.any()


@pytest.mark.filterwarnings("ignore")  # torch warns that these kinds of tensors may change
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda delta: torch.nested.nested_tensor(list(delta)), "a dense tensor, got a nested one"),
        (
            lambda delta: torch.quantize_per_tensor(delta, 0.1, 0, torch.qint8),
            "dense tensor, got a quantised",
        ),
        (lambda delta: torch.nn.parameter.UninitializedParameter(), "a tensor with values, got a parameter"),
        (lambda delta: delta.to(torch.complex64), "expected dtype .*float32.*, got complex64"),
        (lambda delta: delta.to("meta"), "device cpu like the first tensor, got meta"),
    ],
)
def test_tensors_of_another_kind(make: Any, words: str) -> None:
    arguments = dict(zip(SCAN.inputs(), _tensors(SCAN.inputs()), strict=True))
    with pytest.raises(ShapeError, match=words):
        directional_selective_scan(**{**arguments, **SCAN.order, "delta": make(arguments["delta"])})


def test_the_torch_operator_itself_takes_no_number_for_another() -> None:
    """Its integers are of 64 bits, those of the C structs of 32: nothing may be cut off on the way."""
    scan = torch.ops.vmexport.selective_scan
    tensors = _tensors(SCAN.inputs())
    for directions, class_token, scale in (
        ([2**32, 2**32 + 2], 1, 1.0),
        ([0, 2], 2**32 + 1, 1.0),
        ([0, 2], 1, float("nan")),
    ):
        with pytest.raises(ShapeError):
            scan(*tensors, directions, 4, class_token, scale, True)
