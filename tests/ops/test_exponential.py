"""The kernel's own exponential, tier by tier, where the scan's sums cannot hide an error of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from backends import native_library
from cases import Array

from vmexport.ops.native import Buffer, NativeLibrary, load_native
from vmexport.ops.schema import TokenOrder

CHANNELS = 1 << 19
ROUNDING = 2.0**-23
"""Relative error of an exponential: the rounding of its argument, times the argument, and its own."""


@pytest.fixture(params=["avx512", "avx2", "neon", "baseline"])
def tier(request: pytest.FixtureRequest) -> Iterator[NativeLibrary]:
    """The kernels on one instruction tier, as far as this machine has it."""
    if native_library() is None:
        pytest.skip("the native kernels are not built")
    library = load_native()
    if not library.set_tier(request.param):
        pytest.skip(f"this machine has no {request.param}")
    yield library
    library.set_tier(None)


def decays(library: NativeLibrary, delta: Array, rate: Array) -> Array:
    """exp(delta * rate) of every channel as the scan computes it, of states that a second token decays."""
    zeros = np.zeros((1, 1, 2, CHANNELS), np.float32)
    u, steps, bc = zeros.copy(), zeros.copy(), np.ones((1, 1, 2, 2), np.float32)
    u[0, 0, 0] = steps[0, 0, 0] = 1
    steps[0, 0, 1] = delta
    # The first output is the state before the decay, the second, which has no input, the state after it.
    y = np.empty((1, 2, CHANNELS), np.float32)
    rates = np.ascontiguousarray(rate[None, :, None])
    inputs = [Buffer.of_numpy(x) for x in (u, steps, rates, bc)]
    library.scan(inputs[0], inputs[1], inputs[2], inputs[3], None, None, None, Buffer.of_numpy(y),
                 order=TokenOrder((0,), 1, 0))  # fmt: skip
    decay: Array = y[0, 1].astype(np.float64) / y[0, 0]
    return decay


@pytest.mark.parametrize("most", [1.0, 3.0, 80.0])
def test_an_exponential_is_right_for_every_argument(tier: NativeLibrary, most: float) -> None:
    """Half a million arguments of each size: enough to meet the ties of every rounding inside of it."""
    draw = np.random.default_rng(0).uniform
    delta = draw(20, 40, CHANNELS).astype(np.float32)  # softplus(x) = x there
    rate = (-draw(0, most, CHANNELS) / 40).astype(np.float32)
    argument = delta.astype(np.float64) * rate
    error = np.abs(decays(tier, delta, rate) / np.exp(argument) - 1)
    assert np.isfinite(error).all()
    assert (error / (4 + np.abs(argument))).max() < ROUNDING
