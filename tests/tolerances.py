"""The one table of tolerances; no test weakens one inline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tolerance:
    """How far a result may be from the float64 reference.

    Attributes:
        l2: norm of the difference over the norm of the reference.
        peak: largest difference over the largest value of the reference.
    """

    l2: float
    peak: float


OPERATOR = {
    "float32": Tolerance(l2=2e-6, peak=5e-6),
    "float16": Tolerance(l2=5e-4, peak=1e-3),
    "bfloat16": Tolerance(l2=4e-3, peak=8e-3),
}
"""Outputs of one operator; half types are bounded by the rounding of their own result."""

KERNEL_FULL_SIZE = Tolerance(l2=5e-7, peak=5e-6)
"""A native kernel on the model's own sizes and step widths, float32."""

PUBLIC_REFERENCE = Tolerance(l2=2e-6, peak=5e-6)
"""Outputs, states and gradients against the float32 data of public reference code."""

GRADIENT = Tolerance(l2=1e-12, peak=1e-11)
"""Written-out gradients against autograd, both in float64."""

NATIVE_GRADIENT = Tolerance(l2=2e-6, peak=5e-6)
"""Gradients of the native kernels in float32 against float64; in a half type OPERATOR bounds them."""

NATIVE_GRADIENT_OF_A = Tolerance(l2=4e-6, peak=1e-5)
"""That of A: roundings of a slowly decaying state's exponentials add up over all that it remembers."""

MODEL_GRADIENT = Tolerance(l2=2e-5, peak=2e-5)
"""Gradients of a small network's parameters by the native kernels against the reference, both in float32."""

GPU_GRADIENT = {
    "float32": Tolerance(l2=2e-4, peak=1e-3),
    "float16": Tolerance(l2=4e-3, peak=8e-3),
}
"""Gradients on a GPU: mamba-ssm compiles its kernels with fast math; its own tests allow 1e-3 and 5e-3."""

HALF_CHAIN = {
    "float32": OPERATOR["float32"],
    "bfloat16": Tolerance(l2=8e-3, peak=1.6e-2),
}
"""Gradients whose chain rounds twice to the half type: the scan's gradient, then the result."""

HALF_GRADIENT = Tolerance(l2=5e-4, peak=1e-3)
"""The same in float16 against float64: bounded by the rounding of the result."""

SAME_LOSS_CURVE = 1e-5
"""Losses of runs that divide the same clips otherwise: only the order of float32 sums differs."""


LINEAR_ENGINE = Tolerance(l2=1e-5, peak=1e-5)
"""One sum of 12,288 products in float32, whatever its order."""

LINEAR_ENGINE_TF32 = Tolerance(l2=2e-3, peak=5e-3)
"""The same on tensor cores, which TensorRT may use for float32 with 10 bits of mantissa."""


def assert_close(got: NDArray[np.generic], want: NDArray[np.generic], tolerance: Tolerance) -> None:
    """Finite first, then close."""
    assert got.shape == want.shape
    a, b = got.astype(np.float64), want.astype(np.float64)
    assert np.isfinite(a).all(), f"{np.count_nonzero(~np.isfinite(a))} of {a.size} values are not finite"
    if not b.any():
        assert not a.any()
        return
    l2 = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    peak = float(np.abs(a - b).max() / np.abs(b).max())
    assert l2 <= tolerance.l2, f"relative L2 error {l2:.2e}, allowed {tolerance.l2:.0e}"
    assert peak <= tolerance.peak, f"peak error {peak:.2e}, allowed {tolerance.peak:.0e}"
