"""The measure of agreement and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from vmexport.errors import ParityError
from vmexport.runtime.tolerance import TOLERANCES, coarser, compare_logits, relative_l2

REFERENCE = np.array([[1.0, 2.0, -4.0], [0.5, 0.25, 0.0]], np.float32)


def test_equal_logits_agree() -> None:
    result = compare_logits(REFERENCE, REFERENCE)
    assert (result.batch, result.finite, result.max_abs, result.top1) == (2, True, 0.0, 1.0)
    assert result.cosine == pytest.approx(1.0)
    assert all(result.within(tolerance) for tolerance in TOLERANCES.values())


def test_a_difference_is_measured_against_the_largest_logit() -> None:
    other = REFERENCE.copy()
    other[1, 1] = 1.25
    result = compare_logits(REFERENCE, other)
    assert result.max_abs == 1.0
    assert result.max_rel == 0.25
    assert result.top1 == 0.5
    assert not result.within(TOLERANCES["fp16"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_nan_on_either_side_never_passes(side: int, value: float) -> None:
    broken = REFERENCE.copy()
    broken[0, 0] = value
    pair = (broken, REFERENCE) if side == 0 else (REFERENCE, broken)
    result = compare_logits(*pair)
    assert not result.finite
    assert not result.within(TOLERANCES["bf16"])
    assert relative_l2(*pair) == np.inf


def test_nan_on_both_sides_never_passes() -> None:
    broken = np.full_like(REFERENCE, np.nan)
    assert not compare_logits(broken, broken).within(TOLERANCES["bf16"])


def test_small_logits_are_judged_by_their_own_scale() -> None:
    small = REFERENCE * 1e-3
    assert not compare_logits(small, small + 1e-5).within(TOLERANCES["fp32"])


def test_zeros_agree_with_zeros_only() -> None:
    zeros = np.zeros_like(REFERENCE)
    assert compare_logits(zeros, zeros).within(TOLERANCES["fp32"])
    assert not compare_logits(REFERENCE, zeros).within(TOLERANCES["bf16"])


def test_other_numbers_of_classes_are_no_comparison() -> None:
    with pytest.raises(ParityError, match="different shapes"):
        compare_logits(REFERENCE, REFERENCE[:, :2])


def test_the_less_precise_side_sets_the_tolerance() -> None:
    assert coarser("fp32", "fp16") == "fp16"
    assert coarser("bf16", "fp32") == "bf16"
