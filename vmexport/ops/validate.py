"""Shapes and token order, checked once for every Python front end.

The native core validates sizes, strides, orders and attributes itself; it sees no tensor shapes, only sizes.
So shapes are checked here always, and `check_order` and `check_limits` serve the paths that never reach the
core: the reference, the fake tensors of tracing, and the export.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NoReturn

from vmexport.errors import ShapeError
from vmexport.ops.schema import GRADIENT, MAX_DIRECTIONS, MAX_STATES, MAX_TAPS, ScanOrder

Shape = Sequence[int]
"""A tensor's shape; while a model is traced the numbers may be symbolic."""

_MOST = 2**63 - 1
"""The largest whole number of an attribute; the smallest is `-_MOST - 1`."""
_MOST_SCALE = (2 - 2**-23) * 2.0**127
"""The largest float32."""
_ORDER_RANGE = int(min(ScanOrder)), int(max(ScanOrder))
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


def check_directions(operator: str, directions: Any) -> tuple[int, ...]:
    """The directions as whole numbers.

    Raises:
        ShapeError: they are no sequence, or something in them is no whole number or no scan order.
    """
    unordered = isinstance(directions, Mapping | Set | bytes | bytearray)
    try:
        orders = () if unordered else tuple(directions)
    except TypeError:
        unordered = True
    if unordered:
        refuse(operator, "directions", f"a sequence of scan orders, {_ORDERS}", _shown(directions))
    for position, order in enumerate(orders):
        if isinstance(order, bool) or not isinstance(order, Integral):
            refuse(operator, f"directions[{position}]", f"a whole number, {_ORDERS}", _shown(order))
        if not _ORDER_RANGE[0] <= int(order) <= _ORDER_RANGE[1]:  # torch.compile may see symbols
            refuse(operator, f"directions[{position}]", _ORDERS, _shown(order))
    return tuple(int(order) for order in orders)


def check_whole(operator: str, **attributes: object) -> None:
    """Every attribute is a whole number of 64 bits; while a model is traced it may be a symbol for one.

    Raises:
        ShapeError: one is something else.
    """
    for name, value in attributes.items():
        if type(value).__name__ == "SymInt":  # torch's; this module does without torch
            continue
        if not isinstance(value, Integral):
            refuse(operator, name, "a whole number", _shown(value))
        if not -_MOST - 1 <= int(value) <= _MOST:
            refuse(operator, name, "a whole number of 64 bits", _shown(value))


def check_scale(operator: str, scale: Any) -> float:
    """The factor on the sum of the directions, which the kernels hold as float32.

    Raises:
        ShapeError: it is no number, or not finite in float32.
    """
    if isinstance(scale, bool) or not isinstance(scale, Real):
        refuse(operator, "scale", "a number", _shown(scale))
    try:
        number = float(scale)
    except OverflowError:
        number = math.inf
    if not abs(number) <= _MOST_SCALE:  # NaN compares with nothing
        refuse(operator, "scale", "a finite number", _shown(scale))
    return number


def check_flag(operator: str, name: str, value: Any) -> bool:
    """A switch as Python's bool; whole numbers count as C takes them.

    Raises:
        ShapeError: it is something else.
    """
    if not isinstance(value, Integral) and type(value).__name__ not in ("bool", "bool_"):  # NumPy's two names
        refuse(operator, name, "True or False", _shown(value))
    return bool(value)


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
    if length < class_token:
        refuse(operator, "length (L)", "at least 1, the class token", length)
    patches = length - class_token
    for position, order in enumerate(directions):
        if order not in tuple(ScanOrder):
            refuse(operator, f"directions[{position}]", _ORDERS, order)
        by_frame = order in (ScanOrder.SPATIAL, ScanOrder.TEMPORAL)
        if by_frame and (tokens_per_frame < 1 or patches % tokens_per_frame):
            refuse(operator, "tokens_per_frame", f"a divisor of the {patches} patch tokens", tokens_per_frame)


def _shown(value: object) -> str:
    """A foreign value for a message, however long it is."""
    if isinstance(value, Integral) and int(value).bit_length() > 64:  # Python refuses to print the longest
        return f"a number of {int(value).bit_length()} bits"
    return reprlib.repr(value)


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
