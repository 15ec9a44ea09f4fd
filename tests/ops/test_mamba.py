"""`vmexport.ops.selective_scan` means what mamba-ssm's `selective_scan_fn` means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import to_numpy
from tolerances import OPERATOR, PUBLIC_REFERENCE, assert_close

from vmexport.errors import ShapeError
from vmexport.ops import selective_scan

FIXTURES = ("basic", "large_delta", "long", "no_softplus", "no_z_no_D", "one_token")
TENSORS = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")


def inputs(batch: int = 2, d: int = 6, length: int = 9, n: int = 4, **replaced: Any) -> dict[str, Any]:
    """Real, input-dependent arguments; some may be replaced."""
    torch.manual_seed(0)
    values: dict[str, Any] = {
        "u": torch.randn(batch, d, length),
        "delta": torch.randn(batch, d, length),
        "A": -torch.rand(d, n) * 3,
        "B": torch.randn(batch, n, length),
        "C": torch.randn(batch, n, length),
        "D": torch.randn(d),
        "z": torch.randn(batch, d, length),
        "delta_bias": torch.randn(d),
        "delta_softplus": True,
    }
    return {**values, **replaced}


def by_definition(
    u: Any, delta: Any, A: Any, B: Any, C: Any, D: Any = None, z: Any = None, delta_bias: Any = None, *,
    delta_softplus: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """The recurrence in NumPy, one number at a time: nothing in common with the code under test."""
    u, delta, A, B, C, D, z, delta_bias = (
        None if t is None else t.detach().numpy().astype(complex if t.is_complex() else float)
        for t in (u, delta, A, B, C, D, z, delta_bias)
    )
    out, last = np.zeros(u.shape), np.zeros((u.shape[0], *A.shape), A.dtype)
    for b, d in np.ndindex(u.shape[:2]):
        step = delta[b, d] + (0 if delta_bias is None else delta_bias[d])
        step = np.logaddexp(0, step) if delta_softplus else step
        for t in range(u.shape[2]):
            drive, read = (_at(m, b, d, t, u.shape[1], np.iscomplexobj(A)) for m in (B, C))
            last[b, d] = np.exp(step[t] * A[d]) * last[b, d] + step[t] * drive * u[b, d, t]
            y = (last[b, d] * read).sum()
            y = 2 * y.real if np.iscomplexobj(A) else y
            y = y + (0 if D is None else D[d] * u[b, d, t])
            out[b, d, t] = y if z is None else y * z[b, d, t] / (1 + np.exp(-z[b, d, t]))
    return out, last


def _at(matrix: Any, b: int, d: int, t: int, channels: int, paired: bool) -> Any:
    """B or C of one batch, channel and token."""
    if matrix.ndim == 2:
        return matrix[d]
    row = matrix[b] if matrix.ndim == 3 else matrix[b, d * matrix.shape[1] // channels]
    return row[:, 2 * t] + 1j * row[:, 2 * t + 1] if paired else row[:, t]


@pytest.mark.parametrize("name", FIXTURES)
def test_public_outputs_states_and_gradients(fixtures_dir: Path, name: str) -> None:
    data = np.load(fixtures_dir / f"scan_{name}.npz")
    tensors = {key: torch.tensor(data[key], requires_grad=True) for key in TENSORS if key in data}
    out, state = selective_scan(
        **tensors, delta_softplus=bool(data["delta_softplus"]), return_last_state=True
    )
    assert_close(to_numpy(out), data["out"], PUBLIC_REFERENCE)
    assert_close(to_numpy(state), data["last_state"], PUBLIC_REFERENCE)
    gradients = torch.autograd.grad(out, list(tensors.values()), torch.tensor(data["grad_out"]))
    for key, gradient in zip(tensors, gradients, strict=True):
        assert_close(to_numpy(gradient), data[f"grad_{key}"], PUBLIC_REFERENCE)


COMPLEX = {"A": torch.complex(-torch.rand(6, 4), torch.randn(6, 4))}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "optional_absent": {"D": None, "z": None, "delta_bias": None, "delta_softplus": False,
                        "delta": torch.rand(2, 6, 9)},
    "groups": {"B": torch.randn(2, 3, 4, 9), "C": torch.randn(2, 3, 4, 9)},
    "one_group": {"B": torch.randn(2, 1, 4, 9)},
    "different_groups": {"B": torch.randn(2, 3, 4, 9), "C": torch.randn(2, 2, 4, 9)},
    "constant_B": {"B": torch.randn(6, 4)},
    "constant_C": {"C": torch.randn(6, 4)},
    "constant_both": {"B": torch.randn(6, 4), "C": torch.randn(6, 4)},
    "complex": {**COMPLEX, "B": torch.randn(2, 4, 18), "C": torch.randn(2, 4, 18)},
    "complex_groups": {**COMPLEX, "B": torch.randn(2, 3, 4, 18), "C": torch.randn(2, 4, 18)},
    "complex_constant": {**COMPLEX, "B": torch.randn(6, 4, dtype=torch.complex64), "C": torch.randn(6, 4)},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_arguments(form: str) -> None:
    arguments = inputs(**FORMS[form])
    out, state = selective_scan(**arguments, return_last_state=True)
    want_out, want_state = by_definition(**arguments)
    assert out.dtype == torch.float32
    assert_close(to_numpy(out), want_out, OPERATOR["float32"])
    assert state.is_complex() == arguments["A"].is_complex()
    for part in (np.real, np.imag):
        assert_close(part(state.numpy()), part(want_state), OPERATOR["float32"])
    assert torch.equal(selective_scan(**arguments), out)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_every_form(form: str) -> None:
    arguments = inputs(batch=1, d=6, length=3, n=2)
    for key, value in FORMS[form].items():
        if isinstance(value, torch.Tensor):  # the same form, smaller: finite differences are slow
            last = 2 if value.shape[-1] == 4 else value.shape[-1] // 3
            value = value[:1] if value.shape[0] == 2 else value
            value = value[..., :2, :last] if value.dim() > 2 and key != "delta" else value[..., :last]
        arguments[key] = value
    names = [key for key, value in arguments.items() if isinstance(value, torch.Tensor)]
    wide = [
        arguments[key].to(torch.complex128 if arguments[key].is_complex() else torch.float64).requires_grad_()
        for key in names
    ]

    def function(*tensors: torch.Tensor) -> Any:
        return selective_scan(
            **{**arguments, **dict(zip(names, tensors, strict=True))}, return_last_state=True
        )

    assert torch.autograd.gradcheck(function, wide)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_mixed_dtypes_compute_in_float32(dtype: torch.dtype) -> None:
    arguments = inputs()
    half: dict[str, Any] = {
        **arguments,
        **{key: arguments[key].to(dtype) for key in ("u", "delta", "B", "C", "z")},
    }
    rounded: dict[str, Any] = {
        key: value.float() if isinstance(value, torch.Tensor) else value for key, value in half.items()
    }
    want, _ = by_definition(**rounded)
    tolerance = OPERATOR[str(dtype).removeprefix("torch.")]
    for mixture in (half, {**half, "C": rounded["C"]}, {**half, "A": arguments["A"].double()}):
        out, state = selective_scan(**mixture, return_last_state=True)
        assert (out.dtype, state.dtype) == (dtype, torch.float32)
    everything: dict[str, Any] = {
        key: value.to(dtype) if isinstance(value, torch.Tensor) else value for key, value in half.items()
    }
    assert selective_scan(**everything).dtype == dtype
    assert_close(to_numpy(selective_scan(**half)), want, tolerance)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"u": torch.randn(6, 9)}, r"u: expected 3 axes \(B, D, L\), got \(6, 9\)"),
        ({"u": torch.ones(2, 6, 9, dtype=torch.int32)}, r"u: expected a floating dtype, got torch.int32"),
        ({"delta": torch.randn(2, 6, 8)}, r"delta: expected shape \(2, 6, 9\), got \(2, 6, 8\)"),
        ({"u": None}, r"u: expected a torch.Tensor, got NoneType"),
        ({"B": [1.0]}, r"B: expected a torch.Tensor, got list"),
        ({"C": torch.randn(2, 4, 9).to_sparse()}, r"C: expected a dense tensor, got torch.sparse_coo"),
        ({"B": torch.randn(2, 4, 9, device="meta")}, r"B: expected device cpu .*, got meta"),
        ({"delta": torch.randn(2, 6, 9, dtype=torch.complex64)}, r"delta: expected a real dtype"),
        ({"A": torch.randn(5, 4)}, r"A: expected shape \(6, N\), got \(5, 4\)"),
        ({"B": torch.randn(2, 5, 9)}, r"B: expected shape .*\(2, 4, 9\).*, got \(2, 5, 9\)"),
        ({"C": torch.randn(2, 4, 4, 9)}, r"C: expected .*G a divisor of 6, got \(2, 4, 4, 9\)"),
        ({"B": torch.randn(2, 0, 4, 9)}, r"B: expected .*G a divisor of 6, got \(2, 0, 4, 9\)"),
        ({"C": torch.randn(2, 4, 9, dtype=torch.complex64)}, r"C: expected a real dtype"),
        ({"D": torch.randn(1, 6)}, r"D: expected shape \(6,\), got \(1, 6\)"),
        ({"z": torch.randn(1, 6, 9)}, r"z: expected shape \(2, 6, 9\), got \(1, 6, 9\)"),
        ({"delta_bias": torch.randn(7)}, r"delta_bias: expected shape \(6,\), got \(7,\)"),
        ({**COMPLEX, "B": torch.randn(2, 4, 9)}, r"B: expected shape .*\(2, 4, 18\).*, got \(2, 4, 9\)"),
    ],
)
def test_a_bad_argument_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        selective_scan(**inputs(**change))


def test_more_states_than_the_kernels_have_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"states \(N\): expected 1 to 256, got 257"):
        selective_scan(**inputs(n=257))
