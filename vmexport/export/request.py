"""An order to export, and everything that can be refused before any work is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from vmexport.config import BatchProfile
from vmexport.config.choices import Precision
from vmexport.config.names import ONNX_SUFFIX, is_onnx
from vmexport.config.progress import Say
from vmexport.errors import EnvironmentProblem, InputError, UsageError
from vmexport.files import require_writable
from vmexport.model import VideoMamba, resolve_model
from vmexport.native.libraries import ORT_LIBRARY
from vmexport.native.loading import BUILD_FIX, library_path
from vmexport.runtime.session import import_onnxruntime

OPSETS = (18, 19, 20)
"""Versions of the default domain that every runtime we serve reads."""

DEFAULT_OPSET = 18
PRECISIONS = (Precision.FP32.value, Precision.FP16.value)
"""Those in which ONNX Runtime runs a file on a CPU."""


@dataclass(frozen=True)
class Request:
    """What `export_onnx` was asked for.

    Attributes:
        model: the network.
        source: its name in messages.
        path: the file to write.
        profile: batches to serve.
        precision: one of `PRECISIONS`.
        check: whether to compare the file with the network.
        fallback: whether to attach the function bodies.
        opset: one of `OPSETS`.
        progress: told a few words at the start of each step.
    """

    model: VideoMamba
    source: str
    path: Path
    profile: BatchProfile
    precision: str
    check: bool
    fallback: bool
    opset: int
    progress: Say

    def refuse(self) -> None:
        """Refuse what cannot be exported.

        Raises:
            UsageError: an option out of range, or a path without the suffix .onnx.
            InputError: no file can be written at the path, or a weight is NaN or infinite.
            EnvironmentProblem: the check needs onnxruntime, or the operator library, and it is missing.
        """
        if self.opset not in OPSETS:
            known = ", ".join(map(str, OPSETS))
            raise UsageError(f"opset {self.opset} is not supported", f"expected one of {known}", "--opset 18")
        if self.precision not in PRECISIONS:
            raise _no_such_file(self.precision)
        if self.check:
            _check_runtime(self.fallback)
        _check_target(self.path)
        refuse_damaged(self.model, self.source)


def _no_such_file(precision: str) -> UsageError:
    """The error for a precision that no exported file has."""
    known = " or ".join(PRECISIONS)
    if precision != Precision.BF16:
        return UsageError(f"unknown precision {precision!r}", f"expected {known}", "--precision fp16")
    return UsageError(
        "an ONNX file is not exported in bf16",
        f"ONNX Runtime multiplies no bfloat16 on a CPU, so nothing could be compared; a file is {known}",
        "--precision fp16, or an engine of the checkpoint: vmexport trt MODEL --precision bf16",
    )


def network_and_name(model: VideoMamba | Path | str) -> tuple[VideoMamba, str]:
    """The network and its name in messages.

    Raises:
        InputError: no such checkpoint or preset, or a damaged one.
    """
    if isinstance(model, VideoMamba):
        return model, "the network"
    network, _ = resolve_model(model)
    return network, str(model)


def _check_runtime(fallback: bool) -> None:
    """Refuse a check that nothing here can run."""
    import_onnxruntime()
    if not fallback and library_path(ORT_LIBRARY) is None:
        raise EnvironmentProblem(
            "cannot check a file without function bodies",
            f"it runs on the operator library only, and {ORT_LIBRARY} is not built",
            f"{BUILD_FIX}   or export with --no-check",
        )


def _check_target(path: Path) -> None:
    """Refuse a name or a place that no ONNX file can have, before minutes of work."""
    if not is_onnx(path):
        raise UsageError(
            f"cannot write {path}",
            f"an ONNX file ends in {ONNX_SUFFIX}",
            f"-o {path.with_suffix(ONNX_SUFFIX)}",
        )
    require_writable(path)


def refuse_damaged(model: VideoMamba, source: str) -> None:
    """Refuse weights that hold NaN or infinity.

    Raises:
        InputError: names the first such weight.
    """
    for name, value in model.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"the weights of {source} are damaged",
                f"{name} holds NaN or infinity",
                "use another checkpoint; this one comes from a diverged training run",
            )
