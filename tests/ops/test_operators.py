"""One table: every backend, every case, every dtype, against the reference in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backends import BACKENDS, Backend, native_library, parameters, run_native
from cases import (
    CONV_CASES,
    SCAN_CASES,
    WILD_CONV,
    WILD_SCAN,
    Array,
    ConvCase,
    ScanCase,
    conv_answer,
    scan_answer,
)
from tolerances import KERNEL_FULL_SIZE, OPERATOR, assert_close

NATIVE = tuple(backend for backend in BACKENDS if backend.name.startswith("native"))
NOT_REFERENCE = tuple(backend for backend in BACKENDS if backend.name != "reference")


def table(backends: tuple[Backend, ...], cases: tuple[Any, ...]) -> list[Any]:
    """All combinations, each named after its parts."""
    return [
        parameters(backend, case, dtype, name=f"{backend.name}-{case.name}-{dtype}")
        for case in cases
        for dtype in case.dtypes
        for backend in backends
    ]


def run(backend: Backend, case: Any, dtype: str) -> Array:
    """The result, or a skip that says why there is none."""
    if reason := backend.missing(case, dtype):
        pytest.skip(reason)
    return backend.run(case, case.inputs(dtype), dtype)


@pytest.mark.parametrize(("backend", "case", "dtype"), table(BACKENDS, SCAN_CASES))
def test_scan(backend: Backend, case: ScanCase, dtype: str) -> None:
    assert_close(run(backend, case, dtype), scan_answer(case, dtype)[0], OPERATOR[dtype])


@pytest.mark.parametrize(("backend", "case", "dtype"), table(BACKENDS, CONV_CASES))
def test_conv(backend: Backend, case: ConvCase, dtype: str) -> None:
    assert_close(run(backend, case, dtype), conv_answer(case, dtype), OPERATOR[dtype])


@pytest.mark.parametrize("backend", NATIVE, ids=lambda backend: backend.name)
def test_kernel_on_the_models_own_numbers(backend: Backend) -> None:
    """The sizes of `videomamba_small` at 16 frames, with steps of 0.001 to 0.1 as Mamba initialises them."""
    case = replace(SCAN_CASES[0], name="model", L=1569, D=768, N=16, B=1, decay=16.0, delta_size=0.5)
    assert_close(run(backend, case, "float32"), scan_answer(case, "float32")[0], KERNEL_FULL_SIZE)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("case", SCAN_CASES[:12], ids=lambda case: case.name)
def test_last_state_on_any_number_of_threads(case: ScanCase, threads: int) -> None:
    if native_library() is None:
        pytest.skip("the native kernels are not built")
    y, state = run_native(case, case.inputs(), "float32", threads=threads)
    want_y, want_state = scan_answer(case, "float32")
    assert state is not None
    assert_close(y, want_y, OPERATOR["float32"])
    assert_close(state, want_state, OPERATOR["float32"])


def wild_table(case: Any) -> list[Any]:
    """Each input in turn holds one value that is no number."""
    return [
        parameters(backend, name, value, name=f"{backend.name}-{name}-{value}")
        for name in case.inputs()
        for value in (np.nan, np.inf, -np.inf)
        for backend in NOT_REFERENCE
    ]


def compare_wild(backend: Backend, case: Any, name: str, value: float) -> None:
    """NaN and infinity come out exactly where they do in the reference, and nothing else is touched."""
    if reason := backend.missing(case, "float32"):
        pytest.skip(reason)
    arrays = case.inputs()
    array = arrays[name]
    array[tuple(size // 2 for size in array.shape)] = value
    want = BACKENDS[0].run(case, arrays, "float32")
    got = backend.run(case, arrays, "float32")
    assert value == value or np.isnan(want).any()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isposinf(got), np.isposinf(want))
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    finite = np.isfinite(want)
    assert_close(got[finite], want[finite], OPERATOR["float32"])


@pytest.mark.parametrize(("backend", "name", "value"), wild_table(WILD_SCAN))
def test_scan_passes_on_what_is_no_number(backend: Backend, name: str, value: float) -> None:
    compare_wild(backend, WILD_SCAN, name, value)


@pytest.mark.parametrize(("backend", "name", "value"), wild_table(WILD_CONV))
def test_conv_passes_on_what_is_no_number(backend: Backend, name: str, value: float) -> None:
    compare_wild(backend, WILD_CONV, name, value)


@pytest.mark.parametrize("backend", [parameters(backend) for backend in NOT_REFERENCE])
@pytest.mark.parametrize("states", [1, 3, 8, 17, 31])
def test_infinity_with_states_that_do_not_fill_a_register(backend: Backend, states: int) -> None:
    compare_wild(backend, replace(WILD_SCAN, N=states), "u", np.inf)
