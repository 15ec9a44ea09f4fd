"""What can be refused before a network is traced: a place, a runtime that is missing, damaged weights."""

from __future__ import annotations

from pathlib import Path

import torch

from vmexport.config.names import ONNX_SUFFIX, is_onnx
from vmexport.errors import EnvironmentProblem, InputError, UsageError
from vmexport.export.request import ExportRequest
from vmexport.files import require_writable
from vmexport.model import VideoMamba, resolve_model
from vmexport.native.libraries import ORT_LIBRARY
from vmexport.native.loading import BUILD_FIX, library_path
from vmexport.runtime.session import import_onnxruntime


def refuse_export(path: Path, request: ExportRequest) -> None:
    """Refuse a place that cannot be written, and a comparison that nothing here can run.

    Raises:
        UsageError: a path without the suffix .onnx.
        InputError: no file can be written at the path.
        EnvironmentProblem: the check needs onnxruntime, or the operator library, and it is missing.
    """
    if request.check:
        _check_runtime(request.fallback)
    _check_target(path)


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


def refuse_damaged(model: torch.nn.Module, source: str) -> None:
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
