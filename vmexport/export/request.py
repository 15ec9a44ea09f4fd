"""What a caller asks of an ONNX export, refused before any work is done where it cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from vmexport.config import BatchProfile
from vmexport.config.choices import Precision
from vmexport.errors import UsageError

OPSETS = (18, 19, 20)
"""Versions of the default domain that every runtime we serve reads."""

DEFAULT_OPSET = 18
EXPORT_PRECISIONS = (Precision.FP32.value, Precision.FP16.value)
"""Those in which ONNX Runtime runs a file on a CPU."""


@dataclass(frozen=True)
class ExportRequest:
    """How to export; everything may be left out.

    Attributes:
        batch: a fixed batch, or `min:opt:max` for a symbolic one.
        precision: "fp32", or "fp16" for half-precision weights and activations with float32 islands.
        check: compare the file with the float32 network in ONNX Runtime, at every probe of the profile.
        fallback: carry the function bodies, so that the file also runs without the operator library.
        opset: version of the default domain, one of `OPSETS`.
        portable: write standard operators alone, without functions and without nodes for the operator
            library, for other runtimes than ONNX Runtime.

    Raises:
        UsageError: a value out of range, or `portable` without `fallback`.
    """

    batch: int | str | BatchProfile = 1
    precision: str = Precision.FP32.value
    check: bool = True
    fallback: bool = True
    opset: int = DEFAULT_OPSET
    portable: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch", BatchProfile.parse(self.batch))
        if self.opset not in OPSETS:
            known = ", ".join(map(str, OPSETS))
            raise UsageError(f"opset {self.opset} is not supported", f"expected one of {known}", "--opset 18")
        if self.precision not in EXPORT_PRECISIONS:
            raise _no_such_file(self.precision)
        if self.portable and not self.fallback:
            raise UsageError(
                "a file cannot both be portable and need the operator library",
                "portable means standard operators alone, and without fallback the scans have none",
                "leave out --portable or --no-fallback",
            )

    @property
    def profile(self) -> BatchProfile:
        """The batches asked for."""
        return BatchProfile.parse(self.batch)


class ExportOptions(TypedDict, total=False):
    """The fields of `ExportRequest` as keywords of `export_onnx`."""

    batch: int | str | BatchProfile
    precision: str
    check: bool
    fallback: bool
    opset: int
    portable: bool


def _no_such_file(precision: str) -> UsageError:
    """The error for a precision that no exported file has."""
    known = " or ".join(EXPORT_PRECISIONS)
    if precision != Precision.BF16:
        return UsageError(f"unknown precision {precision!r}", f"expected {known}", "--precision fp16")
    return UsageError(
        "an ONNX file is not exported in bf16",
        f"ONNX Runtime multiplies no bfloat16 on a CPU, so nothing could be compared; a file is {known}",
        "--precision fp16, or an engine of the checkpoint: vmexport trt MODEL --precision bf16",
    )
