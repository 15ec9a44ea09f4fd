"""Shapes and token order, checked once for every Python front end.

The native core validates sizes, strides, orders and attributes itself; it sees no tensor shapes, only sizes.
So shapes are checked here always, and `check_order` and `check_limits` serve the paths that never reach the
core: the reference, the fake tensors of tracing, and the export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NoReturn

from vmexport.errors import ShapeError
from vmexport.ops.schema import GRADIENT, MAX_DIRECTIONS, MAX_STATES, MAX_TAPS, ScanOrder

Shape = Sequence[int]
"""A tensor's shape; while a model is traced the numbers may be symbolic."""

_ORDERS = ", ".join(f"{order.value} ({order.name.lower()})" for order in ScanOrder)


@dataclass(frozen=True)
class Sizes:
    """Sizes of one call: `S` directions, `B` batch, `L` tokens, `D` channels; `inner` is `N` or `K`."""

    directions: int
    batch: int
    length: int
    channels: int
    inner: int


def refuse(operator: str, name: str, expected: object, got: object) -> NoReturn:
    """Raise the one kind of error that a bad argument gives.

    Raises:
        ShapeError: always.
    """
    raise ShapeError(f"{operator} cannot take its argument {name}", f"{name}: expected {expected}, got {got}")


def check_directions(operator: str, directions: Sequence[Any]) -> tuple[int, ...]:
    """The directions as whole numbers.

    Raises:
        ShapeError: something in them is not a whole number.
    """
    for position, order in enumerate(directions):
        if isinstance(order, bool) or not isinstance(order, Integral):
            refuse(operator, f"directions[{position}]", f"a whole number, {_ORDERS}", repr(order))
    return tuple(int(order) for order in directions)


def scan_sizes(shapes: Mapping[str, Shape | None], directions: int) -> Sizes:
    """Read the sizes off `u` and `A`, and hold every other shape of a scan against them.

    Args:
        shapes: one entry for each of `SCAN_INPUTS`, and where the caller brings them for the outputs `y` and
            `last_state` and for gradients (`grad_u` for that of `u`); None where an optional one is absent.
        directions: length of the attribute `directions`.

    Raises:
        ShapeError: a shape does not fit; names the tensor, expected and got.
    """
    s, b, length, d = _unpack("selective_scan", "u", shapes["u"], "(S, B, L, D)")
    n = _unpack("selective_scan", "A", shapes["A"], "(S, D, N)")[2]
    expected: dict[str, Shape] = {
        "u": (directions, b, length, d),
        "delta": (s, b, length, d),
        "A": (s, d, n),
        "BC": (s, b, length, 2 * n),
        "D": (s, d),
        "delta_bias": (s, d),
        "z": (b, length, d),
        "y": (b, length, d),
        "last_state": (s, b, d, n),
    }
    _compare("selective_scan", expected, shapes)
    return Sizes(s, b, length, d, n)


def conv_sizes(shapes: Mapping[str, Shape | None], directions: int) -> Sizes:
    """Read the sizes off `x` and `weight`, and hold every other shape of a convolution against them.

    Args:
        shapes: one entry for each of `CONV_INPUTS`, and where the caller brings them for the output `u` and
            for gradients (`grad_x` for that of `x`).
        directions: length of the attribute `directions`.

    Raises:
        ShapeError: a shape does not fit; names the tensor, expected and got.
    """
    b, length, d = _unpack("causal_conv1d", "x", shapes["x"], "(B, L, D)")
    taps = _unpack("causal_conv1d", "weight", shapes["weight"], "(S, D, K)")[2]
    expected: dict[str, Shape] = {
        "x": (b, length, d),
        "weight": (directions, d, taps),
        "bias": (directions, d),
        "u": (directions, b, length, d),
    }
    _compare("causal_conv1d", expected, shapes)
    return Sizes(directions, b, length, d, taps)


def check_limits(operator: str, sizes: Sizes) -> None:
    """Refuse sizes that no kernel serves, so that a model does not work in PyTorch only.

    Raises:
        ShapeError: no channels, or more states, taps or directions than the operator has room for.
    """
    name, limit = ("taps (K)", MAX_TAPS) if operator == "causal_conv1d" else ("states (N)", MAX_STATES)
    if sizes.channels < 1:
        refuse(operator, "channels (D)", "at least 1", sizes.channels)
    if not 1 <= sizes.inner <= limit:
        refuse(operator, name, f"1 to {limit}", sizes.inner)
    if not 1 <= sizes.directions <= MAX_DIRECTIONS:
        refuse(operator, "directions", f"1 to {MAX_DIRECTIONS}", sizes.directions)


def check_order(
    operator: str, directions: Sequence[int], tokens_per_frame: int, class_token: int, length: int
) -> None:
    """Refuse a token order that does not fit the number of tokens.

    Raises:
        ShapeError: an unknown order, class tokens other than 0 or 1, or frames that do not divide the tokens.
    """
    if class_token not in (0, 1):
        refuse(operator, "class_token", "0 or 1", class_token)
    patches = length - class_token
    for position, order in enumerate(directions):
        if order not in tuple(ScanOrder):
            refuse(operator, f"directions[{position}]", _ORDERS, order)
        by_frame = order in (ScanOrder.SPATIAL, ScanOrder.TEMPORAL)
        if by_frame and (tokens_per_frame < 1 or patches % tokens_per_frame):
            refuse(operator, "tokens_per_frame", f"a divisor of the {patches} patch tokens", tokens_per_frame)


def _unpack(operator: str, name: str, shape: Shape | None, letters: str) -> tuple[int, ...]:
    """The shape as a tuple, once its rank is right."""
    rank = letters.count(",") + 1
    if shape is None or len(shape) != rank:
        refuse(operator, name, f"{rank} axes {letters}", None if shape is None else tuple(shape))
    return tuple(shape)


def _compare(operator: str, expected: Mapping[str, Shape], shapes: Mapping[str, Shape | None]) -> None:
    """Refuse the first shape that differs, tensors before gradients; an absent tensor has none."""
    for prefix in ("", GRADIENT):
        for name, wanted in expected.items():
            shape = shapes.get(prefix + name)
            if shape is not None and tuple(shape) != tuple(wanted):
                refuse(operator, prefix + name, f"shape {tuple(wanted)}", tuple(shape))
