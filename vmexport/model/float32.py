"""float32 that is float32: PyTorch multiplies it in TF32, with 10 bits of mantissa, where that is allowed.

cuDNN's convolutions are allowed to unless told otherwise; matrix products only where a program asked for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

EXACT = ("ieee", "none")
"""Settings with which products of float32 are computed in float32."""
HIGHEST = "highest"
_backends: Any = torch.backends  # has no type stubs
OPERATORS = (
    _backends.cudnn.conv,
    _backends.cuda.matmul,
    _backends.mkldnn.conv,
    _backends.mkldnn.matmul,
)


class _Settings:
    """PyTorch's settings, which belong to the whole process, changed once for all who need it at a time.

    Scopes of several threads overlap: the first one to begin notes what it found, the last one to end puts it
    back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scopes = 0
        self._matmul = HIGHEST
        self._before: list[str] = []

    def begin(self) -> None:
        with self._lock:
            self._scopes += 1
            if self._scopes > 1:
                return
            self._matmul = _matmul_precision()
            if self._matmul != HIGHEST:
                torch.set_float32_matmul_precision(HIGHEST)
            self._before = [operator.fp32_precision for operator in OPERATORS]
            for operator, value in zip(OPERATORS, self._before, strict=True):
                if value not in EXACT:
                    operator.fp32_precision = "ieee"

    def end(self) -> None:
        with self._lock:
            self._scopes -= 1
            if self._scopes:
                return
            for operator, value in zip(OPERATORS, self._before, strict=True):
                if value not in EXACT:
                    operator.fp32_precision = value
            if self._matmul != HIGHEST:
                torch.set_float32_matmul_precision(self._matmul)


def _matmul_precision() -> str:
    """What `torch.set_float32_matmul_precision` set; programs that use the newer settings never called it."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # set by the newer settings only
        return HIGHEST


_SETTINGS = _Settings()


@contextmanager
def full_float32() -> Iterator[None]:
    """Within, convolutions and matrix products of float32 are computed in float32, on a GPU and on a CPU.

    PyTorch's settings are those of the whole process: other threads compute in full float32 meanwhile, too.
    Afterwards the settings are as they were.
    """
    _SETTINGS.begin()
    try:
        yield
    finally:
        _SETTINGS.end()
