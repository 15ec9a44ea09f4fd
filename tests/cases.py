"""Calls of both operators, on awkward sizes on purpose, and the right answers."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import torch
from numpy.typing import NDArray

from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference

Array = NDArray[Any]
Arrays = dict[str, Array | None]
DTYPES = ("float32", "float16", "bfloat16")
NUMPY_TYPES: Mapping[str, Any] = {
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}


def order_of(case: ScanCase | ConvCase) -> dict[str, Any]:
    """The attributes that both operators share."""
    return {
        "directions": case.directions,
        "tokens_per_frame": case.tokens_per_frame,
        "class_token": case.class_token,
    }


@dataclass(frozen=True)
class ScanCase:
    """One call of the scan; letters as in the operator's schema."""

    name: str
    L: int
    D: int
    N: int
    directions: tuple[int, ...] = (0, 1)
    B: int = 1
    tokens_per_frame: int = 1
    class_token: int = 0
    scale: float = 1.0
    delta_softplus: bool = True
    without: tuple[str, ...] = ()
    strided: bool = False
    delta_size: float = 1.0
    decay: float = 4.0
    dtypes: Sequence[str] = DTYPES

    @property
    def S(self) -> int:  # noqa: N802
        return len(self.directions)

    @property
    def order(self) -> dict[str, Any]:
        """The attributes that both operators share."""
        return order_of(self)

    @property
    def plain(self) -> bool:
        """Whether the ONNX node can say it: every input there, softplus applied."""
        return not self.without and self.delta_softplus

    def inputs(self, dtype: str = "float32", seed: int = 0) -> Arrays:
        """Arrays by tensor name; activations in `dtype`, parameters in float32."""
        random = np.random.default_rng(seed)
        s, b, length, d, n = self.S, self.B, self.L, self.D, self.N
        bias = random.normal(-2.0, 1.0, (s, d))
        if not self.delta_softplus:
            bias = np.abs(bias)  # a step that grows the state has no answer to compare
        delta = self.delta_size * random.standard_normal((s, b, length, d))
        values: dict[str, Array] = {
            "u": random.standard_normal((s, b, length, d)),
            "delta": delta if self.delta_softplus else np.abs(delta),
            "A": -self.decay * random.uniform(0.05, 1.0, (s, d, n)),
            "BC": random.standard_normal((s, b, length, 2 * n)),
            "D": random.standard_normal((s, d)),
            "delta_bias": bias,
            "z": random.standard_normal((b, length, d)),
        }
        return _finish(values, ("u", "delta", "BC", "z"), dtype, self.strided, self.without)


@dataclass(frozen=True)
class ConvCase:
    """One call of the convolution."""

    name: str
    L: int
    D: int
    K: int
    directions: tuple[int, ...] = (0, 1)
    B: int = 1
    tokens_per_frame: int = 1
    class_token: int = 0
    without: tuple[str, ...] = ()
    strided: bool = False
    dtypes: Sequence[str] = DTYPES

    @property
    def order(self) -> dict[str, Any]:
        """The attributes that both operators share."""
        return order_of(self)

    @property
    def plain(self) -> bool:
        """Whether the ONNX node can say it."""
        return not self.without

    def inputs(self, dtype: str = "float32", seed: int = 0) -> Arrays:
        """Arrays by tensor name; x in `dtype`, parameters in float32."""
        random = np.random.default_rng(seed)
        s = len(self.directions)
        values: dict[str, Array] = {
            "x": random.standard_normal((self.B, self.L, self.D)),
            "weight": random.standard_normal((s, self.D, self.K)),
            "bias": random.standard_normal((s, self.D)),
        }
        return _finish(values, ("x",), dtype, self.strided, self.without)


def _finish(
    values: Mapping[str, Array], typed: Sequence[str], dtype: str, strided: bool, without: Sequence[str]
) -> Arrays:
    """Cast, make views where asked, and leave out what the case has not."""
    finished: Arrays = {}
    for name, value in values.items():
        array = value.astype(NUMPY_TYPES[dtype] if name in typed else np.float32)
        if strided and name in typed:  # rows of a wider array, as slices of a projection are
            wide = np.full((*array.shape[:-1], array.shape[-1] + 5), np.nan, array.dtype)
            wide[..., 2:-3] = array
            array = wide[..., 2:-3]
        finished[name] = None if name in without else array
    return finished


def to_torch(array: Array | None, dtype: torch.dtype | None = None) -> torch.Tensor:
    """The same memory as a tensor, or a copy in `dtype`; None stays None."""
    if array is None:
        return None  # type: ignore[return-value]
    if array.dtype == ml_dtypes.bfloat16:
        tensor = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(array)
    return tensor if dtype is None else tensor.to(dtype)


def to_numpy(tensor: torch.Tensor) -> Array:
    """A float64 copy, whatever the dtype was."""
    return tensor.detach().double().cpu().numpy()


@functools.cache
def scan_answer(case: ScanCase, dtype: str) -> tuple[Array, Array]:
    """y and last state of the reference in float64, from the inputs as rounded to `dtype`."""
    tensors = [to_torch(array, torch.float64) for array in case.inputs(dtype).values()]
    y, state = selective_scan_reference(
        *tensors,
        **case.order,
        scale=case.scale,
        delta_softplus=case.delta_softplus,
        return_last_state=True,
    )
    return to_numpy(y), to_numpy(state)


@functools.cache
def conv_answer(case: ConvCase, dtype: str) -> Array:
    """u of the reference in float64, from the inputs as rounded to `dtype`."""
    tensors = [to_torch(array, torch.float64) for array in case.inputs(dtype).values()]
    return to_numpy(causal_conv1d_reference(*tensors, **case.order))


_BY_FRAME: dict[str, Any] = {"L": 257, "class_token": 1, "tokens_per_frame": 32}

SCAN_CASES = (
    ScanCase("one_token", L=1, D=5, N=4, directions=(0,), B=3),
    ScanCase("one_token_is_the_class_token", L=1, D=16, N=16, class_token=1, directions=(2, 3)),
    ScanCase("two_tokens", L=2, D=1, N=1, class_token=1),
    ScanCase("one_frame", L=17, D=5, N=4, class_token=1, tokens_per_frame=16, directions=(2, 3)),
    ScanCase("below_a_tile", L=63, D=16, N=16, B=2),
    ScanCase("a_tile", L=64, D=33, N=17, tokens_per_frame=8, directions=(3, 2, 1)),
    ScanCase("above_a_tile", L=65, D=33, N=1, class_token=1, tokens_per_frame=16, directions=(0, 2)),
    ScanCase("spatial", D=33, N=17, directions=(0, 2), B=2, **_BY_FRAME),
    ScanCase("temporal", D=16, N=16, directions=(0, 3), **_BY_FRAME),
    ScanCase("all_orders", D=5, N=16, directions=(0, 1, 2, 3), scale=0.5, **_BY_FRAME),
    ScanCase("eight_directions", L=10, D=3, N=2, tokens_per_frame=5, directions=(0, 1, 2, 3) * 2),
    ScanCase("many_states", L=65, D=5, N=256),
    ScanCase("many_channels", L=33, D=768, N=16, scale=0.5),
    ScanCase("full_length", L=1569, D=16, N=16, class_token=1, tokens_per_frame=196),
    ScanCase("strided", D=33, N=4, directions=(0, 2), B=2, strided=True, **_BY_FRAME),
    ScanCase("no_gate", L=65, D=17, N=16, without=("z",)),
    ScanCase("no_skip", L=65, D=17, N=16, without=("D",)),
    ScanCase("no_bias", L=65, D=17, N=16, without=("delta_bias",)),
    ScanCase("nothing_optional", L=65, D=17, N=16, without=("D", "delta_bias", "z"), delta_softplus=False),
    ScanCase("no_softplus", L=65, D=17, N=16, delta_softplus=False),
    ScanCase("long_steps", L=65, D=17, N=16, delta_size=50.0),
    ScanCase("fast_decay", L=65, D=17, N=16, decay=1e5, delta_size=10.0),
)

CONV_CASES = (
    *(
        ConvCase(f"taps_{k}", L=65, D=17, K=k, class_token=1, tokens_per_frame=16, directions=(0, 2))
        for k in range(1, 9)
    ),
    ConvCase("one_token", L=1, D=5, K=4, directions=(0,), B=3),
    ConvCase("two_tokens", L=2, D=1, K=4, class_token=1),
    ConvCase("a_tile", L=64, D=33, K=4, tokens_per_frame=8, directions=(3, 2, 1)),
    ConvCase("all_orders", D=16, K=4, directions=(0, 1, 2, 3), B=2, **_BY_FRAME),
    ConvCase("full_length", L=1569, D=33, K=4, class_token=1, tokens_per_frame=196),
    ConvCase("many_channels", L=33, D=768, K=4),
    ConvCase("no_bias", L=65, D=17, K=4, without=("bias",)),
    ConvCase("strided", D=33, K=4, directions=(0, 3), strided=True, **_BY_FRAME),
)

WILD_SCAN = replace(SCAN_CASES[7], name="wild", L=17, tokens_per_frame=8, D=18, N=16, class_token=1)
WILD_CONV = ConvCase("wild", L=17, D=18, K=4, directions=(0, 2), class_token=1, tokens_per_frame=8)
"""Small calls into which NaN and infinity are put."""
