"""The self-tests' truth: random inputs of the two operators, and their definitions in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vmexport.ops.schema import CONV_INPUTS, SCAN_INPUTS, visiting_order

Array = NDArray[np.float32]

ORDERS = (0, 1, 2, 3)
FRAME, LENGTH, CHANNELS, STATES, TAPS = 5, 16, 24, 16, 4
"""Three frames of five tokens and a class token; channels that fill no vector evenly."""


def scan_inputs() -> dict[str, Array]:
    """Random inputs of `SelectiveScan`, named as in the schema."""
    draw = np.random.default_rng(0).standard_normal
    s = len(ORDERS)
    values = {
        "u": draw((s, 1, LENGTH, CHANNELS)),
        "delta": draw((s, 1, LENGTH, CHANNELS)),
        "A": -np.exp(draw((s, CHANNELS, STATES))),
        "BC": draw((s, 1, LENGTH, 2 * STATES)),
        "D": draw((s, CHANNELS)),
        "delta_bias": draw((s, CHANNELS)),
        "z": draw((1, LENGTH, CHANNELS)),
    }
    return {name: np.ascontiguousarray(values[name], np.float32) for name in SCAN_INPUTS}


def conv_inputs() -> dict[str, Array]:
    """Random inputs of `CausalConv1d`, named as in the schema."""
    draw = np.random.default_rng(1).standard_normal
    s = len(ORDERS)
    values = {
        "x": draw((1, LENGTH, CHANNELS)),
        "weight": draw((s, CHANNELS, TAPS)),
        "bias": draw((s, CHANNELS)),
    }
    return {name: np.ascontiguousarray(values[name], np.float32) for name in CONV_INPUTS}


def scan_oracle(inputs: Mapping[str, Array]) -> NDArray[np.float64]:
    """The definition of the scan, in float64; `(1, L, D)`."""
    x = {name: value.astype(np.float64) for name, value in inputs.items()}
    total = np.zeros_like(x["z"])
    for s, order in enumerate(ORDERS):
        state = np.zeros((CHANNELS, STATES))
        for i in visiting_order(order, LENGTH, FRAME, 1):
            delta = np.logaddexp(0, x["delta"][s, 0, i] + x["delta_bias"][s])[:, None]
            b, c = x["BC"][s, 0, i, :STATES], x["BC"][s, 0, i, STATES:]
            state = np.exp(delta * x["A"][s]) * state + delta * b * x["u"][s, 0, i][:, None]
            total[0, i] += state @ c + x["D"][s] * x["u"][s, 0, i]
    return _silu(x["z"]) * total


def conv_oracle(inputs: Mapping[str, Array]) -> NDArray[np.float64]:
    """The definition of the convolution, in float64; `(S, 1, L, D)`."""
    x = {name: value.astype(np.float64) for name, value in inputs.items()}
    out = np.zeros((len(ORDERS), 1, LENGTH, CHANNELS))
    for s, order in enumerate(ORDERS):
        visited = visiting_order(order, LENGTH, FRAME, 1)
        for step, i in enumerate(visited):
            taps = range(max(0, TAPS - 1 - step), TAPS)
            seen = (x["weight"][s, :, k] * x["x"][0, visited[step - TAPS + 1 + k]] for k in taps)
            out[s, 0, i] = _silu(x["bias"][s] + sum(seen))
    return out


def _silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """`x * sigmoid(x)`."""
    return np.asarray(x / (1 + np.exp(-x)))
