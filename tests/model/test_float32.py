"""float32 is float32: what PyTorch would multiply in TF32 on a GPU it is told to multiply in full.

The GPU is emulated: operands are rounded to TF32 where PyTorch's settings allow it, as cuDNN and cuBLAS do.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
import torch
from small import noise, small_architecture, small_model
from torch import Tensor

from vmexport.model.float32 import OPERATORS, full_float32
from vmexport.runtime import open_runner
from vmexport.runtime.torch_runner import TorchRunner

CONV, MATMUL, *_ = OPERATORS
LIMIT = 1e-4
"""Of test_the_runner_on_the_gpu_agrees_with_the_cpu."""


def to_tf32(values: Tensor) -> Tensor:
    """float32 rounded to the nearest value of 10 bits of mantissa, ties to even."""
    bits = values.contiguous().view(torch.int32)
    rounded = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return rounded.view(torch.float32)


def settings() -> list[str]:
    """What PyTorch is set to, in the older words too where they can still say it."""
    found = [operator.fp32_precision for operator in OPERATORS]
    try:
        return [*found, torch.get_float32_matmul_precision()]
    except RuntimeError:
        return [*found, "mixed"]


@pytest.fixture
def restored() -> Iterator[None]:
    """The settings belong to the process: as they were afterwards."""
    before = [operator.fp32_precision for operator in OPERATORS]
    yield
    torch.set_float32_matmul_precision("highest")
    for operator, value in zip(OPERATORS, before, strict=True):
        operator.fp32_precision = value


@pytest.fixture
def ampere(monkeypatch: pytest.MonkeyPatch, restored: None) -> None:
    """Convolutions and matrix products as a GPU from Ampere on computes them."""
    conv, matmul = torch.nn.functional.conv3d, torch.matmul

    def convolve(clips: Tensor, weight: Tensor, **words: Any) -> Tensor:
        if CONV.fp32_precision == "tf32":
            clips, weight = to_tf32(clips), to_tf32(weight)
        return conv(clips, weight, **words)

    def multiply(a: Tensor, b: Tensor) -> Tensor:
        if MATMUL.fp32_precision == "tf32":
            a, b = to_tf32(a), to_tf32(b)
        return matmul(a, b)

    monkeypatch.setattr(torch.nn.functional, "conv3d", convolve)
    monkeypatch.setattr(torch, "matmul", multiply)


def test_rounding_to_tf32() -> None:
    values = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-11, -3.14159265, 1e-30])
    found = to_tf32(values)
    assert found[:4].tolist() == [1.0, 1 + 2**-10, 1.0, 1 + 2**-9]
    assert torch.all(((found - values) / values).abs() <= 2**-11)


@pytest.mark.usefixtures("ampere")
@pytest.mark.parametrize("products", ["highest", "high"])
def test_the_runner_never_multiplies_in_tf32(products: str) -> None:
    model = small_model()
    clips = noise(model.architecture, 3)
    with torch.inference_mode(), full_float32():
        want = TorchRunner(model).__enter__()(clips)
    torch.set_float32_matmul_precision(products)
    with open_runner(model) as run:
        assert np.abs(run(clips) - want).max() < LIMIT


@pytest.mark.usefixtures("ampere")
def test_tf32_would_be_seen() -> None:
    """The limit tells the two apart: the network itself obeys PyTorch's settings, as any module does."""
    from vmexport.model import freeze

    model = small_model()
    frozen, clips = freeze(model), torch.from_numpy(noise(model.architecture, 3))
    with torch.inference_mode():
        rough = frozen(clips)
        with full_float32():
            assert (rough - frozen(clips)).abs().max() > LIMIT


@pytest.mark.usefixtures("ampere")
def test_the_streams_of_a_bisection_are_full_float32() -> None:
    model = small_model()
    clips = noise(small_architecture(), 1)
    with TorchRunner(model) as run:
        assert isinstance(run, TorchRunner)
        found = run.block_outputs(clips)
        with full_float32():
            want = run.block_outputs(clips)
    for one, other in zip(found, want, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("products", ["highest", "high", "medium"])
def test_the_settings_are_the_users_afterwards(products: str) -> None:
    torch.set_float32_matmul_precision(products)
    before = settings()

    def fail() -> None:
        assert all(operator.fp32_precision in ("ieee", "none") for operator in OPERATORS)
        assert not torch.backends.cuda.matmul.allow_tf32
        raise KeyError

    with pytest.raises(KeyError), full_float32():
        fail()
    assert settings() == before


@pytest.mark.usefixtures("restored")
def test_a_program_that_uses_the_newer_settings() -> None:
    MATMUL.fp32_precision = "tf32"
    before = settings()
    with full_float32():
        assert MATMUL.fp32_precision == "ieee"
    assert settings() == before


@pytest.mark.usefixtures("restored")
def test_scopes_of_two_threads_overlap() -> None:
    """The first to leave does not allow TF32 to the other; the last puts the user's settings back."""
    before, step = settings(), Barrier(2, timeout=60)
    seen: list[str] = []

    def first() -> None:
        with full_float32():
            step.wait()  # both are inside
            step.wait()
        step.wait()

    def second() -> None:
        with full_float32():
            step.wait()
            step.wait()
            step.wait()  # the first is out
            seen.append(CONV.fp32_precision)

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["ieee"]
    assert settings() == before
