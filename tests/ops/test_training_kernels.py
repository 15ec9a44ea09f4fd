"""mamba-ssm and causal-conv1d are looked for once, and a user learns why they are not used."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vmexport.ops.training_kernels import conv_kernels, mamba_kernels

FINDERS = [
    pytest.param(mamba_kernels, "mamba-ssm", "selective_scan_cuda", id="mamba-ssm"),
    pytest.param(conv_kernels, "causal-conv1d", "causal_conv1d.cpp_functions", id="causal-conv1d"),
]
pytestmark = pytest.mark.parametrize(("find", "package", "module"), FINDERS)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """The search starts anew, and its outcome does not outlive the test."""
    for find in (mamba_kernels, conv_kernels):
        find.cache_clear()
    yield
    for find in (mamba_kernels, conv_kernels):
        find.cache_clear()


def test_without_the_package_there_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[], Any], package: str, module: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"pip install --no-build-isolation 'vmexport\[mamba\]'") as caught:
        assert [find(), find()] == [None, None]
    assert len(caught) == 1


def test_a_package_of_another_torch_says_so(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[], Any], package: str, module: str
) -> None:
    def broken(name: str) -> Any:
        raise ImportError("undefined symbol: c10")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.warns(UserWarning, match=f"{package}'s {module}.*undefined symbol: c10.*install it again"):
        assert find() is None


def test_what_is_installed_is_used(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[], Any], package: str, module: str
) -> None:
    modules = {module: object()}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib, "import_module", modules.__getitem__)
    assert find() is modules[module]
