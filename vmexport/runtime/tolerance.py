"""How far two sets of logits are apart, and how far they may be: the one table of tolerances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vmexport.config.choices import PRECISIONS
from vmexport.errors import ParityError


@dataclass(frozen=True)
class Tolerance:
    """Limits of one precision.

    Attributes:
        relative: largest difference of two logits, over the largest reference logit.
        cosine: smallest cosine between the logits of one clip.
        stream: relative L2 error at which a block's residual stream counts as different (bisect).
    """

    relative: float
    cosine: float
    stream: float


TOLERANCES: Mapping[str, Tolerance] = MappingProxyType(
    {
        "fp32": Tolerance(relative=1e-4, cosine=0.999999, stream=2e-5),
        "fp16": Tolerance(relative=3e-2, cosine=0.9999, stream=2e-2),
        "bf16": Tolerance(relative=2e-1, cosine=0.999, stream=1e-1),
    }
)
"""By precision of the less precise side; the accuracy goals of the project set the cosines."""


SMALLEST_SCALE = 1e-6
"""Logits below this count as zero, so that a head of zeros does not divide by zero."""


@dataclass(frozen=True)
class Agreement:
    """Logits of two models on the same clips.

    Attributes:
        batch: clips compared.
        finite: whether no logit of either side is NaN or infinite; where not, the rest is NaN or 0.
        max_abs: largest absolute difference of two logits.
        max_rel: the same over the largest reference logit of the batch.
        cosine: smallest cosine of a clip's logits.
        top1: share of clips with the same first class. Reported, not judged: within the tolerance of the
            logits it can differ only where two classes tie.
    """

    batch: int
    finite: bool
    max_abs: float
    max_rel: float
    cosine: float
    top1: float

    def within(self, tolerance: Tolerance) -> bool:
        """Whether finite and within both limits."""
        return self.finite and self.max_rel <= tolerance.relative and self.cosine >= tolerance.cosine


def compare_logits(reference: NDArray[np.float32], other: NDArray[np.float32]) -> Agreement:
    """Measure the agreement of two `(B, classes)` arrays.

    Raises:
        ParityError: the shapes differ.
    """
    if reference.shape != other.shape:
        raise ParityError(
            "the two models give logits of different shapes", f"{reference.shape} against {other.shape}"
        )
    batch = len(reference)
    a, b = reference.astype(np.float64), other.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return Agreement(batch, False, float("nan"), float("nan"), float("nan"), 0.0)
    max_abs = float(np.abs(a - b).max())
    return Agreement(
        batch=batch,
        finite=True,
        max_abs=max_abs,
        max_rel=max_abs / max(SMALLEST_SCALE, float(np.abs(a).max())),
        cosine=_smallest_cosine(a, b),
        top1=float((a.argmax(axis=1) == b.argmax(axis=1)).mean()),
    )


def relative_l2(reference: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """`|other - reference| / |reference|`, infinite where either holds NaN or infinity."""
    a, b = reference.astype(np.float64), other.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float(np.linalg.norm(b - a)) / max(float(np.linalg.norm(a)), SMALLEST_SCALE)


def coarser(*precisions: str) -> str:
    """The least precise of some precisions, whose tolerance a comparison of them takes."""
    return max(precisions, key=PRECISIONS.index)


def _smallest_cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Smallest cosine over the rows; two zero rows agree, a zero and another row do not."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.where(norms > 0, (a * b).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny), 0.0)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    return float(np.where(both_zero, 1.0, cosines).min())
